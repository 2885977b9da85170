import { once } from 'node:events';
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { messageOf } from '../words/message-of.ts';
import type { Metrics } from './metrics.ts';

/** Whether one part works; `detail` is for people. */
export interface PartState {
  readonly ready: boolean;
  readonly detail?: string;
}

/** What /readyz shows. */
export interface Readiness {
  /** Starting and draining are not ready, whatever the parts say. */
  readonly state: 'starting' | 'running' | 'draining' | 'stopped';
  readonly journal: PartState;
  readonly inbox: PartState;
  /** The machine's. While it is wrong nothing is taken up. */
  readonly clock: PartState;
  readonly google: PartState;
  readonly authorities: ReadonlyMap<string, PartState>;
  /** What keeps single processes waiting and needs an administrator; the service is ready all the same. */
  readonly warnings?: readonly string[];
}

interface Liveness {
  readonly ok: boolean;
  readonly detail: string;
}

export interface ServerOptions {
  readonly host: string;
  /** 0 takes any port that is free. */
  readonly port: number;
  readonly metrics: Metrics;
  readonly readiness: () => Readiness;
  /** Whether the worker's loops turn. When they have not for a long time, only a restart helps. */
  readonly livez: () => Liveness;
}

export interface TelemetryServer extends AsyncDisposable {
  readonly port: number;
}

/**
 * Serves /livez, /readyz, /readyz/{authority} and /metrics. Rejects when the port is not available.
 *
 * /readyz is 200 as long as the service can serve somebody: it runs, its journal, its queue and Google answer, and at
 * least one authority is up. If one authority of several is down, this shows in the JSON, in `certprov_authority_up`
 * and as 503 under its own path, but the whole stays green: readiness routes nothing to this service, and the other
 * authorities go on.
 */
export async function startServer(options: ServerOptions): Promise<TelemetryServer> {
  const server = createServer(
    {
      headersTimeout: 5_000,
      requestTimeout: 10_000,
      maxHeaderSize: 8_192,
      keepAliveTimeout: 5_000,
      // Otherwise a connection that says nothing is checked only every thirty seconds.
      connectionsCheckingInterval: 1_000,
    },
    oneByOne(respond(options)),
  );
  server.maxConnections = 200;
  // A client that takes no answer is not waited for.
  server.timeout = 10_000;
  makeRoom(server, 100);
  server.maxRequestsPerSocket = 1_000;
  server.listen(options.port, options.host);
  await listening(server, options);
  const { port } = server.address() as AddressInfo;
  return {
    port,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** @throws what is wrong with the address, by the keys of the configuration that give it. */
async function listening(server: Server, { host, port }: ServerOptions): Promise<void> {
  try {
    await once(server, 'listening');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    const known = addressProblems.get(code);
    if (known === undefined) throw error;
    throw new Error(`${host}:${port} (server.host, server.port) ${known}`, { cause: error });
  }
}

const addressProblems: ReadonlyMap<unknown, string> = new Map([
  [
    'EADDRINUSE',
    'is in use already, perhaps by another instance of the service. End that one, or choose another server.port.',
  ],
  ['EACCES', 'may not be used by this user: choose a server.port above 1023.'],
  ['EADDRNOTAVAIL', 'is no address of this machine: correct server.host.'],
  ['ENOTFOUND', 'is no address: the name server.host is not known.'],
]);

/**
 * `most` connections are kept. To make room for another, the one whose last request is the oldest has to go. So a
 * client that fills the port, with silent connections or by taking no answers, turns itself away, and not the next
 * probe.
 */
function makeRoom(server: Server, most: number): void {
  const open = new Set<Socket>();
  server.on('connection', (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    const [oldest] = open;
    if (open.size > most) oldest?.destroy();
  });
  server.on('request', ({ socket }) => {
    if (open.delete(socket)) open.add(socket);
  });
}

/**
 * Requests of one connection that wait for their answers. A probe has one; each answer stays in memory until it is
 * taken.
 */
const mostPending = 4;

/** Ends a connection that asks more before it takes its answers. */
function oneByOne(answer: RequestListener): RequestListener {
  const pending = new WeakMap<Socket, number>();
  return (request, response) => {
    const { socket } = request;
    // What arrived in the same packet is still read after the end.
    if (socket.destroyed) return;
    const count = (pending.get(socket) ?? 0) + 1;
    if (count > mostPending) return void socket.destroy();
    pending.set(socket, count);
    response.once('close', () => pending.set(socket, (pending.get(socket) ?? 1) - 1));
    answer(request, response);
  };
}

function respond(options: ServerOptions): RequestListener {
  return (request, response) => {
    // No request needs a body: it is not read, and the connection ends with the answer.
    const hasBody =
      request.headers['transfer-encoding'] !== undefined ||
      Number(request.headers['content-length'] ?? 0) > 0;
    if (hasBody) response.setHeader('connection', 'close');
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      return sendText(response, 405, 'Only GET and HEAD are answered here.');
    }
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
    if (path === '/livez') return sendLiveness(response, options.livez());
    if (path === '/metrics') return void sendMetrics(response, options.metrics);
    if (path === '/readyz') return sendReadiness(response, options.readiness());
    if (path.startsWith('/readyz/')) {
      return sendAuthority(response, path.slice('/readyz/'.length), options.readiness());
    }
    sendText(response, 404, 'Here are /livez, /readyz, /readyz/{authority} and /metrics.');
  };
}

function sendLiveness(response: ServerResponse, { ok, detail }: Liveness): void {
  sendJson(response, ok ? 200 : 503, { ok, detail });
}

function sendReadiness(response: ServerResponse, readiness: Readiness): void {
  const ready = isReady(readiness);
  const { authorities, ...rest } = readiness;
  sendJson(response, ready ? 200 : 503, {
    ready,
    ...rest,
    authorities: Object.fromEntries(authorities),
  });
}

/** Whether the service can serve somebody now. */
function isReady(readiness: Readiness): boolean {
  const { state, journal, inbox, clock, google, authorities } = readiness;
  if (state !== 'running') return false;
  if (!journal.ready || !inbox.ready || !clock.ready || !google.ready) return false;
  return authorities.values().some((authority) => authority.ready);
}

function sendAuthority(response: ServerResponse, encoded: string, readiness: Readiness): void {
  const authority = readiness.authorities.get(decode(encoded));
  if (authority === undefined) sendText(response, 404, 'No authority has this name.');
  else sendJson(response, authority.ready ? 200 : 503, authority);
}

function decode(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch (error) {
    if (error instanceof URIError) return encoded;
    throw error;
  }
}

async function sendMetrics(response: ServerResponse, metrics: Metrics): Promise<void> {
  try {
    const text = await metrics.render();
    send(response, 200, metrics.contentType, text);
  } catch (error) {
    sendText(response, 500, `The metrics could not be collected: ${messageOf(error)}`);
  }
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  send(response, status, 'application/json; charset=utf-8', `${JSON.stringify(value, null, 2)}\n`);
}

function sendText(response: ServerResponse, status: number, text: string): void {
  send(response, status, 'text/plain; charset=utf-8', `${text}\n`);
}

function send(response: ServerResponse, status: number, contentType: string, text: string): void {
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.end(text);
}
