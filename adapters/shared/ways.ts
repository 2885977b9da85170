import type { Socket } from 'node:net';
import { Agent, type buildConnector, type Dispatcher } from 'undici';
import { poolOptions } from '../../src/network/pool-options.ts';
import {
  ProxyError,
  type ProxyServer,
  proxyAuthorization,
  proxyFor,
  readProxy,
} from '../../src/network/proxy.ts';
import { proxyRefusal, throughProxy } from '../../src/network/tunnel.ts';
import { connector } from './connector.ts';
import type { RawAnswer } from './exchange.ts';
import { type AdapterTls, secureContext } from './tls.ts';

/** Where and how a request is handed in. */
export interface Way {
  readonly dispatcher: Dispatcher;
  readonly origin: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Straight to a server, through a tunnel for https, or by a proxy that hands on what is sent in clear. */
export class Ways implements AsyncDisposable {
  readonly #given: ProxyServer | undefined;
  readonly #kept: Agent;
  readonly #fresh: Agent;
  readonly #toProxy: Agent;
  readonly #sockets = new Set<Socket>();
  readonly #closing = new AbortController();

  /** @throws {ProvisioningError | ProxyError} when a file or the proxy cannot be read or used. */
  constructor(
    { tls, proxy }: { readonly tls?: AdapterTls | undefined; readonly proxy?: string | undefined },
    deadlineMs: number,
  ) {
    this.#given = proxy === undefined ? undefined : readProxy(proxy, 'proxy');
    const direct = connector(secureContext(tls), deadlineMs, this.#sockets);
    const common = { keepAliveTimeout: 4_000, ...poolOptions(deadlineMs) };
    const connect: buildConnector.connector = (options, done) => {
      const isTls = options.protocol === 'https:';
      const proxy = isTls ? this.#proxyTo(new URL(`https://${options.host}`)) : undefined;
      const way =
        proxy === undefined
          ? direct
          : throughProxy(proxy, direct, deadlineMs, this.#closing.signal);
      way(options, done);
    };
    this.#kept = new Agent({ ...common, pipelining: 1, connect });
    /*
     * No pipelining at all stands for a connection that is closed behind its request. A handshake for each order costs
     * two round trips and some 3 ms of the processor, with RSA client certificates; a kept connection that its server
     * closes meanwhile costs an order of which nobody knows what came of it, and no wait before its use excludes that.
     */
    this.#fresh = new Agent({ ...common, pipelining: 0, connect });
    // The proxy is not the CA: neither our client certificate nor the CA's roots are for it.
    const plain = connector({}, deadlineMs, this.#sockets);
    this.#toProxy = new Agent({ ...common, pipelining: 0, connect: plain });
  }

  /** @throws {ProxyError} when the environment names a proxy that cannot be understood. */
  to(url: URL, isFresh: boolean): Way {
    const path = `${url.pathname}${url.search}`;
    const proxy = url.protocol === 'http:' ? this.#proxyTo(url) : undefined;
    if (proxy === undefined) {
      const dispatcher = isFresh ? this.#fresh : this.#kept;
      return { dispatcher, origin: url.origin, path, headers: {} };
    }
    const authorization = proxyAuthorization(proxy);
    const headers = {
      host: url.host,
      ...(authorization === undefined ? {} : { 'proxy-authorization': authorization }),
    };
    // The absolute form (RFC 9112 3.2.2).
    return {
      dispatcher: this.#toProxy,
      origin: proxy.url.origin,
      path: `${url.origin}${path}`,
      headers,
    };
  }

  /** @throws {ProxyError} when it was the proxy that answered, because it does not know us. */
  check(url: URL, { status, headers, body }: RawAnswer): void {
    const proxy = status === 407 && url.protocol === 'http:' ? this.#proxyTo(url) : undefined;
    if (proxy !== undefined) throw proxyRefusal(proxy, status, body.toString('utf8'), headers);
  }

  #proxyTo(url: URL): ProxyServer | undefined {
    return this.#given ?? proxyFor(url);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new ProxyError('The authority is closed.'));
    const agents = [this.#kept, this.#fresh, this.#toProxy];
    const destroyed = Promise.all(agents.map((agent) => agent.destroy()));
    for (const socket of this.#sockets) socket.destroy();
    await destroyed;
  }
}
