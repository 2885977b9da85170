import { once } from 'node:events';
import { chmodSync, rmSync } from 'node:fs';
import { createServer, request, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import type { Events } from '../telemetry/events.ts';

/*
 * The running service has its SQLite journal for itself, so it makes the backup: on a Unix socket beside the journal,
 * which only the service's user and root can open.
 */

const route = '/v1/backup';

export function socketPath(journalPath: string): string {
  return join(dirname(resolve(journalPath)), 'certprov.sock');
}

export interface BackupSocket {
  readonly journalPath: string;
  readonly events: Events;
  /** The archive in pieces. */
  backup(signal: AbortSignal): AsyncIterable<Buffer>;
}

/** Serves until it is disposed. Without a socket the service works all the same: why there is none is told. */
export async function serveBackups(options: BackupSocket): Promise<AsyncDisposable> {
  const path = socketPath(options.journalPath);
  const ended = new AbortController();
  let isBusy = false;
  const server = createServer(async (incoming, response) => {
    const asked = new URL(incoming.url ?? '/', 'http://localhost');
    if (incoming.method !== 'GET' || asked.pathname !== route)
      return refuse(response, 404, 'Here is only GET /v1/backup.');
    if (asked.searchParams.get('journal') !== resolve(options.journalPath)) {
      return refuse(
        response,
        409,
        `The service at ${path} has another journal: ${resolve(options.journalPath)}.`,
      );
    }
    if (isBusy) return refuse(response, 409, 'Another backup is being made.');
    isBusy = true;
    try {
      await send(options.backup(ended.signal), response);
    } catch (error) {
      // A head that has left cannot be taken back: then the body is cut off, which the other side sees.
      const reason = error instanceof Error ? error.message : String(error);
      if (response.headersSent) response.destroy();
      else refuse(response, 500, reason);
    } finally {
      isBusy = false;
    }
  });
  server.maxConnections = 10;
  try {
    if (await isAnswered(path)) throw new Error('another service answers there');
    rmSync(path, { force: true });
    // Bound within listen(), before anybody else has a turn: nobody can open it before its mode is set.
    const before = process.umask(0o177);
    try {
      server.listen(path);
    } finally {
      process.umask(before);
    }
    await once(server, 'listening');
    chmodSync(path, 0o600);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const detail = `no backup can be made while this service runs: ${path} cannot be listened at (${reason})`;
    options.events.emit('service', { state: 'starting', detail });
    return { [Symbol.asyncDispose]: async () => undefined };
  }
  return {
    async [Symbol.asyncDispose]() {
      ended.abort(new Error('The service stops.'));
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** The first piece is there before the head is sent, so that what fails at once has a status and a reason. */
async function send(pieces: AsyncIterable<Buffer>, response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort(new Error('Whoever asked for the backup has gone.')));
  for await (const piece of pieces) {
    if (!response.headersSent) response.writeHead(200, { 'content-type': 'application/x-tar' });
    gone.signal.throwIfAborted();
    if (!response.write(piece)) await once(response, 'drain', { signal: gone.signal });
  }
  response.end();
}

function refuse(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${text}\n`);
}

async function isAnswered(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(1_000) });
    return true;
  } catch {
    // Nobody listens, or there is no such file.
    return false;
  } finally {
    socket.destroy();
  }
}

/**
 * The archive that the running service makes; undefined when none runs here.
 *
 * @throws {Error} with the service's reason.
 */
export async function askForBackup(
  journalPath: string,
  signal: AbortSignal,
): Promise<AsyncIterable<Buffer> | undefined> {
  const path = `${route}?${new URLSearchParams({ journal: resolve(journalPath) })}`;
  const asked = request({ socketPath: socketPath(journalPath), path, signal }).end();
  let answer: import('node:http').IncomingMessage;
  try {
    [answer] = await once(asked, 'response');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return undefined;
    throw error;
  }
  if (answer.statusCode === 200) return answer;
  let text = '';
  for await (const chunk of answer) if (text.length < 10_000) text += chunk;
  throw new Error(`The running service made no backup: ${text.trim()}`);
}
