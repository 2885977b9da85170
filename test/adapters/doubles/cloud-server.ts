import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { slowMs } from './slow.ts';

/*
 * What the doubles of HTTP servers have in common: every request is written down, and the next answer can be replaced
 * by another one or by silence.
 */

export interface SeenRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

export interface TlsMaterial {
  readonly key: string;
  readonly cert: string;
  /** Client certificates must chain to this one. */
  readonly ca: string;
}

export type Handler = (request: SeenRequest) => Promise<Answer> | Answer;

export class CloudServer implements AsyncDisposable {
  readonly seen: SeenRequest[] = [];
  /** Used up one by one, each by the next request that `counts`. */
  readonly instead: ('hang' | Handler)[] = [];
  /** Which requests the entries of `instead` are for. */
  counts: (request: SeenRequest) => boolean = () => true;
  readonly #server: Server;
  readonly #tls: boolean;
  readonly #handler: Handler;
  readonly #hanging = new Set<ServerResponse>();
  #reached = Promise.withResolvers<void>();

  private constructor(handler: Handler, tls: TlsMaterial | undefined) {
    this.#handler = handler;
    this.#tls = tls !== undefined;
    const listener = (request: import('node:http').IncomingMessage, response: ServerResponse) => {
      void this.#serve(request, response);
    };
    this.#server =
      tls === undefined
        ? createServer(listener)
        : createTlsServer({ ...tls, requestCert: true, rejectUnauthorized: true }, listener);
  }

  static async start(handler: Handler, tls?: TlsMaterial): Promise<CloudServer> {
    const server = new CloudServer(handler, tls);
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get origin(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `${this.#tls ? 'https' : 'http'}://127.0.0.1:${port}`;
  }

  /** The next request that counts gets no answer. */
  hang(): { reached(): Promise<void> } {
    this.#reached = Promise.withResolvers();
    this.instead.push('hang');
    return { reached: () => this.#reached.promise };
  }

  /** The next request that counts is answered after a while. */
  slow(): void {
    this.instead.push(async (seen) => {
      await sleepFor(slowMs);
      return this.#handler(seen);
    });
  }

  /** Connections whose request is still waited for. */
  leftovers(): string[] {
    return [...this.#hanging].map(() => 'a request that nobody gave up');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #serve(
    request: import('node:http').IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const seen: SeenRequest = {
      method: request.method ?? '',
      url: new URL(request.url ?? '/', this.origin),
      headers: request.headers,
      body: Buffer.concat(pieces).toString('utf8'),
    };
    this.seen.push(seen);
    const instead = this.counts(seen) ? this.instead.shift() : undefined;
    if (instead === 'hang') {
      this.#hanging.add(response);
      response.on('close', () => this.#hanging.delete(response));
      this.#reached.resolve();
      return;
    }
    try {
      const { status, headers = {}, body } = await (instead ?? this.#handler)(seen);
      response.writeHead(status, headers).end(body);
    } catch (error) {
      response.writeHead(500).end(`The double failed: ${String(error)}`);
    }
  }
}

export function json(status: number, value: unknown, headers: Record<string, string> = {}): Answer {
  const body = JSON.stringify(value);
  return { status, headers: { 'content-type': 'application/json', ...headers }, body };
}
