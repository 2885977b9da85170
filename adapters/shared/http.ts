import { readFileSync } from 'node:fs';
import { type Dispatcher, EnvHttpProxyAgent, ProxyAgent, request } from 'undici';
import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';

/*
 * HTTP to a CA: one connection pool with its own trust and client certificate, answers of bounded size, no
 * redirects (they would carry credentials elsewhere), and no repeats: whether an order may be sent twice is for
 * the adapter to know.
 */

/** Trust and client certificate, as options of an adapter. */
export const tlsOptions = z
  .strictObject({
    caFile: z
      .string()
      .min(1)
      .optional()
      .describe(
        'PEM file with the certificates that the server’s certificate must chain to. Without it: the usual public roots.',
      ),
    certFile: z
      .string()
      .min(1)
      .optional()
      .describe('PEM file with our client certificate, followed by its intermediates.'),
    keyFile: z
      .string()
      .min(1)
      .optional()
      .describe(
        'PEM file with the client certificate’s private key; readable for the service only.',
      ),
  })
  .refine(({ certFile, keyFile }) => (certFile === undefined) === (keyFile === undefined), {
    path: ['keyFile'],
    error: 'certFile and keyFile belong together',
  });

export const proxyOption = z
  .url({ protocol: /^https?$/ })
  .optional()
  .describe('The HTTP proxy to use. Without it HTTPS_PROXY and NO_PROXY of the environment count.');

/** An https URL; http only where nothing leaves this machine. */
export const serverUrl = z.string().refine((text) => {
  const url = URL.parse(text);
  if (url === null || url.username !== '' || url.password !== '') return false;
  const local = /^(localhost|\[::1\]|127(\.\d{1,3}){3})$/.test(url.hostname);
  return url.protocol === 'https:' || (url.protocol === 'http:' && local);
}, 'must be an https URL (http only on loopback) without a user name or password in it');

export interface AdapterHttpOptions {
  /** Absolute paths. */
  readonly tls?: {
    readonly caFile?: string | undefined;
    readonly certFile?: string | undefined;
    readonly keyFile?: string | undefined;
  };
  readonly proxy?: string | undefined;
  /** How long the server may be silent; the caller's signal usually ends a call earlier. */
  readonly silenceMs?: number;
}

interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

export type HttpHeaders = Readonly<Record<string, string | string[] | undefined>>;

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
  const dispatcher = dispatcherFor(options);
  return {
    async request({ method, url, headers = {}, body }, signal) {
      signal.throwIfAborted();
      const where = new URL(url).origin;
      try {
        const answer = await request(url, {
          method,
          headers,
          dispatcher,
          signal,
          ...(body === undefined ? {} : { body }),
        });
        const bytes = await wholeBody(answer.body, where);
        return { status: answer.statusCode, headers: answer.headers, body: bytes };
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof ProvisioningError) throw error;
        throw new ProvisioningError('ca-unavailable', `${where}: no answer (${messageOf(error)})`);
      }
    },
    async [Symbol.asyncDispose]() {
      await dispatcher.destroy();
    },
  };
}

function dispatcherFor({ tls, proxy, silenceMs = 60_000 }: AdapterHttpOptions): Dispatcher {
  const secure = {
    ...(tls?.caFile === undefined ? {} : { ca: fileText(tls.caFile) }),
    ...(tls?.certFile === undefined ? {} : { cert: fileText(tls.certFile) }),
    ...(tls?.keyFile === undefined ? {} : { key: fileText(tls.keyFile) }),
  };
  const common = {
    connections,
    allowH2: false,
    headersTimeout: silenceMs,
    bodyTimeout: silenceMs,
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

/** A server's words for operators: one printable line of bounded length. */
export function serverWords(text: string, most = 400): string {
  return text
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim()
    .slice(0, most);
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return serverWords(error.message || error.name, 200);
}
