import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleepFor } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { slowMs } from './slow.ts';

export interface ReceivedRequest {
  readonly method: string;
  /** As on the wire, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** The client's certificate, where one was shown and verified; DER. */
  readonly clientCertificate: Buffer | undefined;
  /** What TLS's SNI said; false: nothing. */
  readonly serverName: string | false;
}

export interface ServerAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON. */
  readonly body?: string | object;
}

/** What a server may be told to do with the next requests, before its own mind. */
export type Misbehaviour = ServerAnswer | 'hang' | 'reset' | 'slow';

/** A server of HTTP on loopback that speaks as its maker says, and misspeaks on demand. */
export class ScriptedHttpServer implements AsyncDisposable {
  /** Everything that came in, in its order. */
  readonly received: ReceivedRequest[] = [];
  readonly #server: Server;
  readonly #scheme: string;
  readonly #answer: (request: ReceivedRequest) => ServerAnswer | Promise<ServerAnswer>;
  readonly #misbehaviours: { when: (request: ReceivedRequest) => boolean; what: Misbehaviour }[] =
    [];
  readonly #hanging = new Set<Socket>();
  readonly #reached = Promise.withResolvers<void>();

  private constructor(
    answer: (request: ReceivedRequest) => ServerAnswer | Promise<ServerAnswer>,
    tls: ServerOptions | undefined,
  ) {
    this.#answer = answer;
    this.#scheme = tls === undefined ? 'http' : 'https';
    this.#server = tls === undefined ? createServer() : createTlsServer(tls);
    this.#server.on('request', async (incoming, outgoing) => {
      const url = new URL(incoming.url ?? '/', 'http://localhost');
      const socket = incoming.socket as TLSSocket;
      const peer = tls === undefined ? undefined : socket.getPeerX509Certificate();
      const request: ReceivedRequest = {
        method: incoming.method ?? '',
        path: url.pathname,
        query: url.searchParams,
        headers: incoming.headers,
        body: (await buffer(incoming)).toString('utf8'),
        clientCertificate: socket.authorized ? peer?.raw : undefined,
        serverName: (socket as { servername?: string | false }).servername ?? false,
      };
      this.received.push(request);
      const at = this.#misbehaviours.findIndex(({ when }) => when(request));
      const [scripted] = at < 0 ? [] : this.#misbehaviours.splice(at, 1);
      const order = scripted?.what;
      if (order === 'slow') await sleepFor(slowMs);
      const what = order === undefined || order === 'slow' ? await this.#answer(request) : order;
      if (what === 'reset') return void socket.destroy();
      if (what === 'hang') {
        this.#hanging.add(socket);
        socket.once('close', () => this.#hanging.delete(socket));
        return this.#reached.resolve();
      }
      const { status, headers = {}, body = '' } = what;
      const isText = typeof body === 'string';
      outgoing.writeHead(status, {
        ...(isText ? {} : { 'content-type': 'application/json' }),
        ...headers,
      });
      outgoing.end(isText ? body : JSON.stringify(body));
    });
  }

  static async start(
    answer: (request: ReceivedRequest) => ServerAnswer | Promise<ServerAnswer>,
    tls?: ServerOptions,
  ): Promise<ScriptedHttpServer> {
    const server = new ScriptedHttpServer(answer, tls);
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get origin(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `${this.#scheme}://127.0.0.1:${port}`;
  }

  /** The next request for which `when` holds is treated so; later calls for the same come after. */
  misbehave(what: Misbehaviour, when: (request: ReceivedRequest) => boolean = () => true): void {
    this.#misbehaviours.push({ when, what });
  }

  /** Resolves when a request hangs. */
  reached(): Promise<void> {
    return this.#reached.promise;
  }

  /** Connections whose request hangs and that the client still holds. */
  get held(): string[] {
    return [...this.#hanging].map((socket) => `a request from port ${socket.remotePort}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}
