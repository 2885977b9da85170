import { readFileSync } from 'node:fs';
import { Agent, type Dispatcher, ProxyAgent, request as send } from 'undici';
import type { Clock } from '../../src/clock.ts';
import { ProvisioningError } from '../../src/errors.ts';

/*
 * HTTP as adapters need it: one server, answers of bounded size, no redirects (they would carry credentials
 * elsewhere), and failures as the codes that say who must act. What a status means is for the caller.
 */

/** Certificates and their wrapping are a few kilobytes. */
const largestBody = 1024 * 1024;
const connectTimeoutMs = 10_000;
/** The caller's signal usually comes first; this is for a server that goes silent. */
const silenceMs = 60_000;

export interface AdapterHttpOptions {
  /** Absolute paths of PEM files. */
  readonly tls?: {
    /** What the server's certificate must chain to, instead of what Node knows. */
    readonly caFile?: string;
    /** Our own certificate with its chain, and its key. */
    readonly certFile?: string;
    readonly keyFile?: string;
  };
  /** Of an HTTP proxy. */
  readonly proxy?: string;
  readonly clock: Clock;
}

interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'HEAD';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Buffer;
}

export interface AdapterHttp extends AsyncDisposable {
  /**
   * @throws {ProvisioningError} `ca-unavailable` when no whole answer came, `ca-misconfigured` when the server's
   * TLS certificate is not trusted, `ca-bad-answer` when the body is too large; the signal's reason.
   */
  request(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer>;
}

/** @throws {Error} when a file of `tls` cannot be read. */
export function adapterHttp({ tls = {}, proxy }: AdapterHttpOptions): AdapterHttp {
  const { caFile, certFile, keyFile } = tls;
  const secure = {
    ...(caFile === undefined ? {} : { ca: readFileSync(caFile, 'utf8') }),
    ...(certFile === undefined ? {} : { cert: readFileSync(certFile, 'utf8') }),
    ...(keyFile === undefined ? {} : { key: readFileSync(keyFile, 'utf8') }),
  };
  const limits = { headersTimeout: silenceMs, bodyTimeout: silenceMs, pipelining: 1 };
  return new UndiciHttp(
    proxy === undefined
      ? new Agent({ ...limits, connect: { ...secure, timeout: connectTimeoutMs } })
      : new ProxyAgent({ ...limits, uri: proxy, requestTls: secure }),
  );
}

class UndiciHttp implements AdapterHttp {
  readonly #dispatcher: Dispatcher;

  constructor(dispatcher: Dispatcher) {
    this.#dispatcher = dispatcher;
  }

  async request(
    { method, url, headers = {}, body }: HttpRequest,
    signal: AbortSignal,
  ): Promise<HttpAnswer> {
    signal.throwIfAborted();
    const { origin } = new URL(url);
    try {
      const answer = await send(url, {
        dispatcher: this.#dispatcher,
        method,
        headers: { ...headers },
        body: body ?? null,
        signal,
      });
      return {
        status: answer.statusCode,
        headers: answer.headers,
        body: await wholeBody(answer.body, origin),
      };
    } catch (error) {
      signal.throwIfAborted();
      throw error instanceof ProvisioningError ? error : connectionError(origin, error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dispatcher.destroy();
  }
}

async function wholeBody(stream: AsyncIterable<unknown>, origin: string): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of stream) {
    if (!Buffer.isBuffer(piece)) continue;
    length += piece.length;
    if (length > largestBody) {
      throw new ProvisioningError(
        'ca-bad-answer',
        `The answer of ${origin} is larger than ${largestBody / 1024} KiB.`,
      );
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces, length);
}

/** OpenSSL's and Node's names for a server certificate that is not believed. */
const distrust = /CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY|DECRYPT|DECODE)|ALTNAME/;

function connectionError(origin: string, error: unknown): ProvisioningError {
  const reason = error instanceof Error ? error : new Error(String(error));
  const code = 'code' in reason ? String(reason.code) : '';
  if (distrust.test(code)) {
    return new ProvisioningError(
      'ca-misconfigured',
      `The TLS certificate of ${origin} is not trusted (${code}). Fix: correct the URL, or name the right CA in tls.caFile.`,
      { cause: error },
    );
  }
  const said = reason.message || code || reason.name;
  return new ProvisioningError('ca-unavailable', `${origin} did not answer: ${said}`, {
    cause: error,
  });
}

/** Milliseconds from a Retry-After header (RFC 9110 10.2.3), seconds or a date; undefined without one. */
export function retryAfterOf(headers: HttpAnswer['headers'], now: number): number | undefined {
  const value = headers['retry-after'];
  if (typeof value !== 'string') return undefined;
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * 1_000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}
