import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent, type Dispatcher, ProxyAgent, request as send } from 'undici';
import type { Clock } from '../../src/clock.ts';
import { ProvisioningError } from '../../src/errors.ts';

/*
 * HTTP as adapters need it: bounded, without redirects (they would carry credentials elsewhere), and with
 * errors that say who must act. Nothing is sent twice here.
 */

/** Answers of CAs are a few kilobytes. */
const largestBody = 1024 * 1024;
const connectTimeoutMs = 10_000;

export interface AdapterHttpOptions {
  /** Paths are absolute; all files are PEM. */
  readonly tls?: {
    /** Trusted instead of the system's certificates. */
    readonly caFile?: string | undefined;
    /** Our own certificate, its intermediates behind it. */
    readonly certFile?: string | undefined;
    readonly keyFile?: string | undefined;
    readonly keyPassphrase?: string | undefined;
  };
  /** The URL of an HTTP proxy. Without it connections are direct, whatever the environment says. */
  readonly proxy?: string | undefined;
  /** How long an answer may take where the caller sets no deadline; 60,000 by default. */
  readonly timeoutMs?: number;
  readonly clock: Clock;
}

interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'HEAD' | 'OPTIONS';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** At most 1 MiB. */
  readonly body: Buffer;
}

export interface AdapterHttp extends AsyncDisposable {
  /**
   * One request, answered with any status.
   *
   * @throws {ProvisioningError} `ca-unavailable` when no answer came, `ca-misconfigured` when TLS shows that
   * trust or our certificate is wrong, `ca-bad-answer` when the body is too large; the signal's reason when
   * it was aborted.
   */
  request(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer>;
}

/** @throws {ProvisioningError} `ca-misconfigured` when a file cannot be read or does not fit. */
export function adapterHttp(options: AdapterHttpOptions): AdapterHttp {
  const dispatcher = dispatcherOf(options);
  return {
    async request(asked, signal) {
      signal.throwIfAborted();
      try {
        return await exchange(dispatcher, asked, signal);
      } catch (error) {
        // undici wraps the reason in some places.
        signal.throwIfAborted();
        throw asProvisioningError(asked, error);
      }
    },
    async [Symbol.asyncDispose]() {
      await dispatcher.destroy();
    },
  };
}

/**
 * How long a server wants us to wait (RFC 9110 10.2.3: seconds, or a date), in milliseconds from `now`;
 * undefined when it does not say. Never negative.
 */
export function retryAfterOf(headers: HttpAnswer['headers'], now: number): number | undefined {
  const value = headers['retry-after'];
  const text = (Array.isArray(value) ? value[0] : value)?.trim();
  if (text === undefined || text === '') return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}

interface Pair {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly passphrase?: string;
}

function dispatcherOf({ tls = {}, proxy, timeoutMs = 60_000 }: AdapterHttpOptions): Dispatcher {
  const connect: Pair & { timeout: number } = {
    timeout: connectTimeoutMs,
    ...pem('ca', tls.caFile),
    ...pem('cert', tls.certFile),
    ...pem('key', tls.keyFile),
    ...(tls.keyPassphrase === undefined ? {} : { passphrase: tls.keyPassphrase }),
  };
  if (connect.cert !== undefined && connect.key !== undefined) checkPair(connect);
  const common = { headersTimeout: timeoutMs, bodyTimeout: timeoutMs, allowH2: false };
  try {
    return proxy === undefined
      ? new Agent({ ...common, connect })
      : new ProxyAgent({ ...common, uri: proxy, requestTls: connect });
  } catch (error) {
    throw new ProvisioningError('ca-misconfigured', `TLS cannot be set up: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** OpenSSL itself says nothing when the two have different types: it just shows no certificate. */
function checkPair({ cert = '', key = '', passphrase }: Pair): void {
  let reason = 'they do not belong together';
  try {
    const privateKey = createPrivateKey({ key, ...(passphrase && { passphrase }) });
    if (new X509Certificate(cert).checkPrivateKey(privateKey)) return;
  } catch (error) {
    reason = messageOf(error);
  }
  const what = `The client certificate and its key cannot be used: ${reason}.`;
  throw new ProvisioningError('ca-misconfigured', what);
}

function pem(name: 'ca' | 'cert' | 'key', file: string | undefined): Pair {
  if (file === undefined) return {};
  try {
    return { [name]: readFileSync(file, 'utf8') };
  } catch (error) {
    throw new ProvisioningError('ca-misconfigured', `${file} cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

async function exchange(
  dispatcher: Dispatcher,
  { method, url, headers = {}, body }: HttpRequest,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const answer = await send(url, { dispatcher, method, headers, body: body ?? null, signal });
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of answer.body) {
    length += chunk.length;
    if (length > largestBody) {
      answer.body.destroy();
      throw new ProvisioningError(
        'ca-bad-answer',
        `${whereOf(url)} sent an answer of more than ${largestBody} bytes.`,
      );
    }
    chunks.push(chunk);
  }
  return { status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks) };
}

/** Where waiting does not help: whom we trust, or who we say we are. */
const tlsProblems =
  /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_(VERIFY_LEAF_SIGNATURE|GET_ISSUER_CERT(_LOCALLY)?)|CERT_|ERR_TLS_CERT_|ERR_SSL_.*ALERT.*(CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)|ERR_OSSL_)/;

function asProvisioningError({ method, url }: HttpRequest, error: unknown): ProvisioningError {
  if (error instanceof ProvisioningError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const what = `${method} ${whereOf(url)}: ${messageOf(error)}`;
  return tlsProblems.test(code)
    ? new ProvisioningError(
        'ca-misconfigured',
        `${what} (${code}). Look at the trusted CA file and at the client certificate.`,
      )
    : new ProvisioningError('ca-unavailable', what);
}

/** Without query and user: they may hold secrets. */
function whereOf(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}

function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return messageOf(error.errors[0]);
  return error instanceof Error ? error.message || error.name : String(error);
}
