import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib';
import { ProvisioningError } from '../../src/errors.ts';
import { ownVersion } from '../../src/own-version.ts';
import type { Clock } from '../../src/time/clock.ts';
import { withDeadline } from '../../src/time/deadline.ts';
import { messageOf } from '../../src/words/message-of.ts';
import { exchange, mostBodyBytes, type Progress, type RawAnswer } from './exchange.ts';
import { problemOf } from './http-problem.ts';
import type { AdapterTls } from './tls.ts';
import { Ways } from './ways.ts';

/*
 * HTTP as adapters need it: one request, one answer of bounded size, no redirect followed. What a status means is for
 * the adapter to say; how far a request came is told by its error.
 */

const usualDeadlineMs = 60_000;
/** Whoever asks for more does not mean it: no order is waited for so long. */
const longestRetryAfterMs = 24 * 60 * 60_000;

export interface AdapterHttpOptions {
  readonly tls?: AdapterTls | undefined;
  /** A proxy, as a URL or as host:port. Without it HTTPS_PROXY, HTTP_PROXY and NO_PROXY count, but not for loopback. */
  readonly proxy?: string | undefined;
  readonly clock: Clock;
  /** How long one request may take; its caller's signal may end it earlier. */
  readonly deadlineMs?: number;
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'HEAD' | 'OPTIONS' | 'PATCH';
  readonly url: string | URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /**
   * Whether it changes nothing at the server (RFC 9110 9.2.1); GET, HEAD and OPTIONS do not unless it says so. A request
   * that is not safe gets a connection of its own, for a server may close an idle one in the very moment in which it
   * is used, and nobody could say then whether the request was carried out. A safe one is repeated once instead.
   */
  readonly safe?: boolean;
}

/** Names are in lower case. */
export type HttpHeaders = RawAnswer['headers'];

export interface HttpAnswer {
  readonly status: number;
  readonly headers: HttpHeaders;
  /** At most 1 MiB, decoded where the server compressed it unasked. */
  readonly body: Buffer;
}

export interface AdapterHttp extends AsyncDisposable {
  /**
   * Resolves whatever the status; rejects with the signal's reason when it is aborted. An error says by `unanswered`
   * whether the request may have been carried out: no for a safe one, and for one that surely never left.
   *
   * @throws {ProvisioningError} `ca-unavailable`: no connection or no answer in time; `ca-misconfigured`: TLS or a proxy
   * shows that trust, our certificate or our credentials are wrong; `ca-bad-answer`: no HTTP, cut short, or more than
   * 1 MiB.
   */
  request(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer>;
}

/** @throws {ProvisioningError} `ca-misconfigured` when a file or the proxy cannot be read or used. */
export function adapterHttp(options: AdapterHttpOptions): AdapterHttp {
  const { clock, deadlineMs = usualDeadlineMs } = options;
  const ways = new Ways(options, deadlineMs);
  return {
    async request(request, signal) {
      const url = new URL(request.url);
      const safe = request.safe ?? ['GET', 'HEAD', 'OPTIONS'].includes(request.method);
      const progress: Progress = { sent: false };
      try {
        return await withDeadline(clock, deadlineMs, signal, async (inner) =>
          decoded(await answerTo(ways, { ...request, url, safe }, progress, inner)),
        );
      } catch (error) {
        signal.throwIfAborted();
        throw problemOf(error, url.origin, progress, safe);
      }
    },
    [Symbol.asyncDispose]: () => ways[Symbol.asyncDispose](),
  };
}

/**
 * How long the server asks us to wait, in milliseconds: Retry-After as seconds or as a date (RFC 9110 10.2.3), which
 * counts from the answer's own Date. `now` is milliseconds since the epoch. Undefined when it does not say, not in a
 * readable way, or asks for more than a day.
 */
export function retryAfterOf(headers: HttpHeaders, now: number): number | undefined {
  const text = headerText(headers, 'retry-after');
  const isDate = /^[A-Za-z]/.test(text);
  const serverNow = Date.parse(headerText(headers, 'date'));
  const since = Number.isNaN(serverNow) ? now : serverNow;
  const askedMs = isDate
    ? Date.parse(text) - since
    : /^\d{1,12}$/.test(text)
      ? Number(text) * 1_000
      : Number.NaN;
  return askedMs <= longestRetryAfterMs ? Math.max(0, askedMs) : undefined;
}

/** How soon to ask again after an order that is left pending: after `usualMs`, or later where the server asks for it. */
export function pauseOf(headers: HttpHeaders, now: number, usualMs: number): number {
  return Math.max(usualMs, retryAfterOf(headers, now) ?? 0);
}

function headerText(headers: HttpHeaders, name: string): string {
  const value = headers[name];
  return (Array.isArray(value) ? value[0] : value)?.trim() ?? '';
}

async function answerTo(
  ways: Ways,
  request: HttpRequest & { readonly url: URL; readonly safe: boolean },
  progress: Progress,
  signal: AbortSignal,
): Promise<RawAnswer> {
  const { method, url, headers, body, safe } = request;
  const sending = {
    method,
    headers: {
      'user-agent': `certprov/${ownVersion}`,
      'accept-encoding': 'identity',
      ...headers,
    },
    body: body === undefined ? null : typeof body === 'string' ? body : Buffer.from(body),
  };
  const send = (isFresh: boolean) => {
    const { dispatcher, ...where } = ways.to(url, isFresh);
    const all = { ...sending, ...where, headers: { ...sending.headers, ...where.headers } };
    return exchange(dispatcher, all, progress, signal);
  };
  const answer = await send(!safe).catch((error: unknown) => {
    if (!safe || !progress.sent || progress.status !== undefined || !isReset(error)) throw error;
    return send(true);
  });
  ways.check(url, answer);
  return answer;
}

/** The connection ended without an answer. */
function isReset(error: unknown): boolean {
  return ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(
    error instanceof Error && 'code' in error ? String(error.code) : '',
  );
}

const decoders: Readonly<Record<string, (body: Buffer) => Buffer>> = {
  gzip: (body) => gunzipSync(body, { maxOutputLength: mostBodyBytes }),
  deflate: (body) => inflateSync(body, { maxOutputLength: mostBodyBytes }),
  br: (body) => brotliDecompressSync(body, { maxOutputLength: mostBodyBytes }),
};

/** We ask for no coding, and some proxies compress all the same. */
function decoded(answer: RawAnswer): HttpAnswer {
  const coding = headerText(answer.headers, 'content-encoding').toLowerCase().replace(/^x-/, '');
  if (coding === '' || coding === 'identity' || answer.body.length === 0) return answer;
  try {
    const decode = decoders[coding];
    if (decode === undefined) throw new Error('we asked for none');
    return { ...answer, body: decode(answer.body) };
  } catch (error) {
    throw new ProvisioningError(
      'ca-bad-answer',
      `An answer (status ${answer.status}) came in the content coding ${coding.slice(0, 40)} and cannot be read: ${messageOf(error)}. Let the server, or the proxy before it, send it as it is.`,
      { cause: error },
    );
  }
}
