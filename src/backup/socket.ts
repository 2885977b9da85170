import { once } from 'node:events';
import { chmodSync, existsSync, rmSync } from 'node:fs';
import { createServer, request, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { dirname, join, relative, resolve } from 'node:path';
import type { Events } from '../events/events.ts';
import { messageOf } from '../words/message-of.ts';

/*
 * The running service holds its SQLite journal for itself, so it makes the backup, and serves it on a Unix socket
 * beside the journal, which only the service's user and root can open.
 */

const route = '/v1/backup';

export function socketPath(journalPath: string): string {
  return join(dirname(resolve(journalPath)), 'certprov.sock');
}

/** What fits into a sockaddr_un with its closing zero, on Linux; other systems take a little less. In bytes. */
const longestAddress = 107;

/** The kernel accepts only short paths; relative to the working directory it may be short enough. */
function addressOf(path: string): string {
  const short = relative(process.cwd(), path);
  return Buffer.byteLength(short) < Buffer.byteLength(path) ? short : path;
}

function isTooLong(path: string): boolean {
  return Buffer.byteLength(addressOf(path)) > longestAddress;
}

/** A client that reads nothing for this long is not waited for, so another can have a backup. */
const longestStallMs = 60_000;
/** How long the answer may take to leave when the service stops. */
const farewellMs = 500;
/** The service copies everything before the first byte comes. */
const longestSilenceMs = 15 * 60_000;

export interface BackupSocket {
  readonly journalPath: string;
  readonly events: Events;
  readonly stallMs?: number;
  /** The archive in pieces. */
  backup(signal: AbortSignal): AsyncIterable<Buffer>;
}

/** Serves until it is disposed. Without a socket the service works all the same, and says why there is none. */
export async function serveBackups(options: BackupSocket): Promise<AsyncDisposable> {
  const path = socketPath(options.journalPath);
  const ended = new AbortController();
  let making: Promise<void> | undefined;
  const server = createServer(async (incoming, response) => {
    const asked = URL.parse(incoming.url ?? '/', 'http://localhost');
    if (incoming.method !== 'GET' || asked?.pathname !== route)
      return refuse(response, 404, 'Here is only GET /v1/backup.');
    if (asked.searchParams.get('journal') !== resolve(options.journalPath)) {
      return refuse(
        response,
        409,
        `The service at ${path} has another journal: ${resolve(options.journalPath)}.`,
      );
    }
    if (making !== undefined) return refuse(response, 409, 'Another backup is being made.');
    const patience = { stop: ended.signal, stallMs: options.stallMs ?? longestStallMs };
    making = send(options.backup(ended.signal), response, patience);
    try {
      await making;
    } catch (error) {
      // A head that has left cannot be taken back: then the body is cut off, which the other side sees.
      const reason = messageOf(error);
      if (response.headersSent) response.destroy();
      else refuse(response, 500, reason);
    } finally {
      making = undefined;
    }
  });
  server.maxConnections = 10;
  try {
    if (isTooLong(path)) throw new Error(tooLong(path));
    if (await isAnswered(path)) throw new Error('another service answers there');
    rmSync(path, { force: true });
    // Bound within listen(), before anybody else has a turn: nobody can open it before its mode is set.
    const before = process.umask(0o177);
    try {
      server.listen(addressOf(path));
    } finally {
      process.umask(before);
    }
    await once(server, 'listening');
    chmodSync(path, 0o600);
  } catch (error) {
    const detail = `no backup can be made while this service runs: ${path} cannot be listened at (${messageOf(error)})`;
    options.events.emit('service', { state: 'starting', detail });
    return { [Symbol.asyncDispose]: async () => undefined };
  }
  return {
    async [Symbol.asyncDispose]() {
      ended.abort(new Error('The service stops.'));
      // It removes its copies, and says why there is no backup.
      await making?.catch(() => undefined);
      const closed = once(server, 'close');
      server.close();
      server.closeIdleConnections();
      setTimeout(() => server.closeAllConnections(), farewellMs).unref();
      await closed;
    },
  };
}

/** The first piece exists before the head is sent, so an immediate failure has a status and a reason. */
async function send(
  pieces: AsyncIterable<Buffer>,
  response: ServerResponse,
  { stop, stallMs }: { readonly stop: AbortSignal; readonly stallMs: number },
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort(new Error('Whoever asked for the backup has gone.')));
  for await (const piece of pieces) {
    if (!response.headersSent) response.writeHead(200, { 'content-type': 'application/x-tar' });
    gone.signal.throwIfAborted();
    stop.throwIfAborted();
    if (response.write(piece)) continue;
    const signal = AbortSignal.any([gone.signal, stop, AbortSignal.timeout(stallMs)]);
    await once(response, 'drain', { signal });
  }
  response.end();
}

/** @throws {Error} with a sentence when the service ends before its answer does. */
async function* whole(answer: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* answer;
  } catch (error) {
    throw new Error('The running service ended before the backup was whole.', { cause: error });
  }
}

function tooLong(path: string): string {
  return `the path ${path} is longer than the ${longestAddress} bytes that a socket's may have`;
}

function refuse(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${text}\n`);
}

async function isAnswered(path: string): Promise<boolean> {
  const socket = connect(addressOf(path));
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
  const socket = socketPath(journalPath);
  if (isTooLong(socket)) {
    if (!existsSync(socket)) return undefined;
    throw new Error(`${tooLong(socket)}. Run the command in ${dirname(socket)}`);
  }
  const path = `${route}?${new URLSearchParams({ journal: resolve(journalPath) })}`;
  const asked = request({ socketPath: addressOf(socket), path, signal }).end();
  asked.setTimeout(longestSilenceMs, () =>
    asked.destroy(new Error(`The service at ${socket} does not answer. Is it stopped?`)),
  );
  let answer: import('node:http').IncomingMessage;
  try {
    [answer] = await once(asked, 'response');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return undefined;
    if (code === 'EACCES') {
      throw new Error(
        `The service's socket ${socket} is not ours to open. Run the command as the service's user or as root.`,
        { cause: error },
      );
    }
    throw error;
  }
  if (answer.statusCode === 200) return whole(answer);
  let text = '';
  for await (const chunk of answer) if (text.length < 10_000) text += chunk;
  throw new Error(`The running service made no backup: ${text.trim()}`);
}
