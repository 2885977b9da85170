import { readFileSync } from 'node:fs';
import { connect as connectPlain, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { Agent, type buildConnector, type Dispatcher, ProxyAgent } from 'undici';
import type { Clock } from '../../src/clock.ts';
import { ProvisioningError } from '../../src/errors.ts';

/*
 * HTTP to a CA: one request, one answer. No redirect is followed (a credential would go with it), nothing is
 * repeated (an order that may have arrived is for the caller to judge), and an answer is at most 1 MiB.
 */

export interface HttpTls {
  /** Absolute path of PEM certificates that the server's must chain to, in place of the system's. */
  readonly caFile?: string;
  /** The same as text; goes before `caFile`. */
  readonly ca?: string;
  /** Absolute paths, PEM: our own certificate with its chain, and its key. */
  readonly certFile?: string;
  readonly keyFile?: string;
  /** For an encrypted key. */
  readonly passphrase?: string;
  /** Takes any server. Only for fetching what is then verified by itself, as a root by its fingerprint. */
  readonly unverified?: true;
}

export interface AdapterHttpOptions {
  readonly tls?: HttpTls;
  /** URL of an HTTP proxy; may carry a user and a password. */
  readonly proxy?: string;
  readonly clock: Clock;
}

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

export type HttpHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: HttpHeaders;
  readonly body: Buffer;
}

export interface AdapterHttp extends AsyncDisposable {
  /**
   * Resolves whatever the status. Rejects with the signal's reason as soon as it is aborted.
   *
   * @throws {ProvisioningError} `ca-unavailable`: no connection, or it broke, or nothing came for a minute;
   * `ca-misconfigured`: the server's certificate is not trusted; `ca-bad-answer`: more than 1 MiB.
   */
  request(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer>;
}

const mostBytes = 1024 * 1024;
const connectTimeoutMs = 10_000;
/** The caller's signal is the stricter limit; this one is for a caller that set none. */
const silenceMs = 60_000;

/** @throws {ProvisioningError} `ca-misconfigured` when a file cannot be read. */
export function adapterHttp(options: AdapterHttpOptions): AdapterHttp {
  const sockets = new Set<Socket>();
  const dispatcher = dispatcherFor(options, sockets);
  const closing = new AbortController();
  return {
    async request(request, signal) {
      signal.throwIfAborted();
      const ended = AbortSignal.any([signal, closing.signal]);
      try {
        ended.throwIfAborted();
        return await untilAborted(exchange(dispatcher, request, ended), ended);
      } catch (error) {
        signal.throwIfAborted();
        throw error instanceof ProvisioningError ? error : asProblem(error, request);
      }
    },
    async [Symbol.asyncDispose]() {
      if (closing.signal.aborted) return;
      closing.abort(new ProvisioningError('ca-unavailable', 'The authority is closed.'));
      const destroyed = dispatcher.destroy();
      // undici would wait for a handshake that a silent server never ends.
      for (const socket of sockets) socket.destroy();
      await destroyed;
    },
  };
}

/** undici looks at a signal only once it has a connection; a request that was given up by then is not sent. */
async function untilAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/**
 * The pause that an answer asks for by Retry-After (RFC 9110 10.2.3), in milliseconds; undefined when it asks
 * for none.
 *
 * @param now milliseconds since the epoch.
 */
export function retryAfterOf(headers: HttpHeaders, now: number): number | undefined {
  const value = headers['retry-after'];
  if (typeof value !== 'string') return undefined;
  const text = value.trim();
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000;
  const until = Date.parse(text);
  return Number.isNaN(until) ? undefined : Math.max(0, until - now);
}

function dispatcherFor({ tls = {}, proxy }: AdapterHttpOptions, sockets: Set<Socket>): Dispatcher {
  const ca = tls.ca ?? (tls.caFile === undefined ? undefined : readPem(tls.caFile));
  const secure = {
    ...(ca === undefined ? {} : { ca }),
    ...(tls.certFile === undefined ? {} : { cert: readPem(tls.certFile) }),
    ...(tls.keyFile === undefined ? {} : { key: readPem(tls.keyFile) }),
    ...(tls.passphrase === undefined ? {} : { passphrase: tls.passphrase }),
    ...(tls.unverified === true ? { rejectUnauthorized: false } : {}),
  };
  const limits = {
    allowH2: false,
    pipelining: 1,
    keepAliveTimeout: 4_000,
    headersTimeout: silenceMs,
    bodyTimeout: silenceMs,
  };
  if (proxy !== undefined) return new ProxyAgent({ ...limits, uri: proxy, requestTls: secure });
  return new Agent({ ...limits, connect: connector(secure, sockets) });
}

/** undici's own connector does not let go of a socket that is still connecting; these are kept in `sockets`. */
function connector(secure: ConnectionOptions, sockets: Set<Socket>): buildConnector.connector {
  return ({ hostname, port, protocol, servername }, done) => {
    const isTls = protocol === 'https:';
    const host = hostname.replace(/^\[(.*)\]$/, '$1');
    const where = { host, port: Number(port || (isTls ? 443 : 80)) };
    const names = servername === undefined ? {} : { servername };
    const socket = isTls ? connectTls({ ...secure, ...where, ...names }) : connectPlain(where);
    sockets.add(socket);
    const late = setTimeout(() => {
      socket.destroy(Object.assign(new Error('No connection.'), { code: 'ETIMEDOUT' }));
    }, connectTimeoutMs);
    const failed = (error: Error) => done(error, null);
    socket.once('error', failed);
    socket.once('close', () => {
      clearTimeout(late);
      sockets.delete(socket);
      if (!connected) failed(Object.assign(new Error('Closed.'), { code: 'ECONNRESET' }));
    });
    let connected = false;
    socket.once(isTls ? 'secureConnect' : 'connect', () => {
      connected = true;
      clearTimeout(late);
      socket.off('error', failed);
      done(null, socket);
    });
  };
}

async function exchange(
  dispatcher: Dispatcher,
  { method, url, headers, body }: HttpRequest,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const { origin, pathname, search } = new URL(url);
  const answer = await dispatcher.request({
    origin,
    path: `${pathname}${search}`,
    method,
    headers: { ...headers },
    body: body ?? null,
    signal,
  });
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer.body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > mostBytes) {
      throw new ProvisioningError('ca-bad-answer', `${origin} answered with more than 1 MiB.`);
    }
    chunks.push(chunk);
  }
  return { status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks) };
}

function readPem(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new ProvisioningError(
      'ca-misconfigured',
      `${file} cannot be read (${codeOf(error) ?? 'unknown error'}). Correct the path, or make it readable for the service's user.`,
      { cause: error },
    );
  }
}

/** Node's codes for a server certificate that is not trusted, or a name that is not in it. */
const distrust = /CERT|ERR_TLS_|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)/;

function asProblem(error: unknown, { url }: HttpRequest): ProvisioningError {
  const { origin } = new URL(url);
  const code = codeOf(error) ?? 'no answer';
  // An alert of the server's comes as ERR_SSL_…: our own certificate may be what it wants.
  return distrust.test(code)
    ? new ProvisioningError(
        'ca-misconfigured',
        `The TLS certificate of ${origin} is not trusted (${code}). Name the CA's own root in tls.caFile, and the server as its certificate does.`,
        { cause: error },
      )
    : new ProvisioningError('ca-unavailable', `${origin} gave no answer (${code}).`, {
        cause: error,
      });
}

function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
