import { readFileSync } from 'node:fs';
import { Agent, type Dispatcher, ProxyAgent } from 'undici';
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
  const dispatcher = dispatcherFor(options);
  let disposed = false;
  return {
    async request(request, signal) {
      signal.throwIfAborted();
      if (disposed) throw new ProvisioningError('ca-unavailable', 'The authority is closed.');
      try {
        return await exchange(dispatcher, request, signal);
      } catch (error) {
        signal.throwIfAborted();
        throw error instanceof ProvisioningError ? error : asProblem(error, request);
      }
    },
    async [Symbol.asyncDispose]() {
      if (disposed) return;
      disposed = true;
      await dispatcher.destroy();
    },
  };
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

function dispatcherFor({ tls = {}, proxy }: AdapterHttpOptions): Dispatcher {
  const ca = tls.ca ?? (tls.caFile === undefined ? undefined : readPem(tls.caFile));
  const secure = {
    ...(ca === undefined ? {} : { ca }),
    ...(tls.certFile === undefined ? {} : { cert: readPem(tls.certFile) }),
    ...(tls.keyFile === undefined ? {} : { key: readPem(tls.keyFile) }),
    ...(tls.passphrase === undefined ? {} : { passphrase: tls.passphrase }),
  };
  const limits = {
    allowH2: false,
    pipelining: 1,
    keepAliveTimeout: 4_000,
    headersTimeout: silenceMs,
    bodyTimeout: silenceMs,
  };
  if (proxy !== undefined) return new ProxyAgent({ ...limits, uri: proxy, requestTls: secure });
  return new Agent({ ...limits, connect: { ...secure, timeout: connectTimeoutMs } });
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
