import { readFileSync } from 'node:fs';
import { type Dispatcher, EnvHttpProxyAgent, ProxyAgent, request } from 'undici';
import type { Clock } from '../../src/clock.ts';
import { DeadlineError, withDeadline } from '../../src/deadline.ts';
import { ProvisioningError } from '../../src/errors.ts';
import { serverWords } from './server-words.ts';

/*
 * HTTP to a CA: one connection pool with its own trust and client certificate, answers of bounded size, no
 * redirects (they would carry credentials elsewhere), and no repeats: whether an order may be sent twice is for
 * the adapter to know.
 */

export interface AdapterHttpOptions {
  /** Absolute paths. */
  readonly tls?: {
    readonly caFile?: string | undefined;
    readonly certFile?: string | undefined;
    readonly keyFile?: string | undefined;
  };
  readonly proxy?: string | undefined;
  readonly clock: Clock;
  /** How long one request may take; the caller's signal usually ends it earlier. */
  readonly deadlineMs?: number;
}

interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

type HttpHeaders = Readonly<Record<string, string | string[] | undefined>>;

export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: HttpHeaders;
  readonly body: Buffer;
}

export interface AdapterHttp extends AsyncDisposable {
  /**
   * One request and its whole answer, whatever its status.
   *
   * @throws {ProvisioningError} `ca-unavailable` when no whole answer came, `ca-bad-answer` when it is larger than
   * 1 MiB; the signal's reason when it is aborted.
   */
  request(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer>;
}

const largestBody = 1024 * 1024;
const connections = 16;
const longestRetryAfterMs = 60 * 60_000;

/** @throws {ProvisioningError} `ca-misconfigured` when a file cannot be read. */
export function adapterHttp(options: AdapterHttpOptions): AdapterHttp {
  const { clock, deadlineMs = 60_000 } = options;
  const dispatcher = dispatcherFor(options);
  return {
    async request({ method, url, headers = {}, body }, signal) {
      signal.throwIfAborted();
      const where = new URL(url).origin;
      try {
        return await withDeadline(clock, deadlineMs, signal, async (inner) => {
          const answer = await request(url, {
            method,
            headers,
            dispatcher,
            signal: inner,
            ...(body === undefined ? {} : { body }),
          });
          const bytes = await wholeBody(answer.body, where);
          return { status: answer.statusCode, headers: answer.headers, body: bytes };
        });
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof ProvisioningError) throw error;
        const problem = error instanceof DeadlineError ? error.message : messageOf(error);
        throw new ProvisioningError('ca-unavailable', `${where}: no answer (${problem})`);
      }
    },
    async [Symbol.asyncDispose]() {
      await dispatcher.destroy();
    },
  };
}

function dispatcherFor({ tls, proxy }: AdapterHttpOptions): Dispatcher {
  const secure = {
    ...(tls?.caFile === undefined ? {} : { ca: fileText(tls.caFile) }),
    ...(tls?.certFile === undefined ? {} : { cert: fileText(tls.certFile) }),
    ...(tls?.keyFile === undefined ? {} : { key: fileText(tls.keyFile) }),
  };
  const common = {
    connections,
    allowH2: false,
    // The deadline of the whole request is the stricter one.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: { timeout: 15_000, ...secure },
    requestTls: secure,
  };
  return proxy === undefined
    ? new EnvHttpProxyAgent(common)
    : new ProxyAgent({ ...common, uri: proxy, proxyTunnel: true });
}

function fileText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new ProvisioningError(
      'ca-misconfigured',
      `${file} cannot be read: ${messageOf(error)}. Correct the path, or make it readable for the service's user.`,
    );
  }
}

async function wholeBody(body: AsyncIterable<Uint8Array>, where: string): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of body) {
    length += piece.length;
    if (length > largestBody) {
      // Leaving the loop closes the connection.
      throw new ProvisioningError(
        'ca-bad-answer',
        `${where}: the answer is larger than ${largestBody} bytes.`,
      );
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** Seconds or an HTTP date (RFC 9110 10.2.3), as milliseconds from `now`, at most an hour. */
export function retryAfterOf(headers: HttpHeaders, now: number): number | undefined {
  const header = headers['retry-after'];
  if (typeof header !== 'string') return undefined;
  const text = header.trim();
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), longestRetryAfterMs);
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return serverWords(error.message || error.name, 200);
}
