import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { type ConnectionOptions, createSecureContext } from 'node:tls';
import { Agent, type Dispatcher, EnvHttpProxyAgent, ProxyAgent, request as send } from 'undici';
import packageJson from '../../package.json' with { type: 'json' };
import type { Clock } from '../../src/clock.ts';
import { DeadlineError, withDeadline } from '../../src/deadline.ts';
import { ProvisioningError } from '../../src/errors.ts';
import { encodePem, readCertificates } from '../../src/x509/pem.ts';
import { privateKeyPem, readPrivateKey } from '../../src/x509/private-key.ts';
import { connector } from './connector.ts';

/*
 * HTTP as adapters need it: one request, one answer of bounded size, no redirect followed, nothing repeated.
 * What a status means is for the adapter to say.
 */

const mostBodyBytes = 1024 * 1024;
const usualDeadlineMs = 60_000;
/** Nobody may send us away for longer. */
const longestRetryAfterMs = 6 * 60 * 60_000;

/** Files are absolute paths of PEM files. */
export interface AdapterTls {
  /** CAs that the server's certificate may chain to, instead of the system's. */
  readonly caFile?: string | undefined;
  /** The same as PEM text; goes before `caFile`. */
  readonly ca?: string | undefined;
  /** Takes any server. Only for fetching what is then verified by itself, as a root by its fingerprint. */
  readonly unverified?: true | undefined;
  /** A client certificate, followed by its chain, and its private key. */
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** The passphrase of the private key, where it is encrypted. */
  readonly passphrase?: string | undefined;
}

export interface AdapterHttpOptions {
  readonly tls?: AdapterTls | undefined;
  /** The URL of a proxy. Without it HTTPS_PROXY, HTTP_PROXY and NO_PROXY count, but not for loopback. */
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
}

/** Names are in lower case. */
export type HttpHeaders = Readonly<Record<string, string | string[] | undefined>>;

export interface HttpAnswer {
  readonly status: number;
  readonly headers: HttpHeaders;
  /** At most 1 MiB. */
  readonly body: Buffer;
}

export interface AdapterHttp extends AsyncDisposable {
  /**
   * Resolves whatever the status; rejects with the signal's reason when it is aborted.
   * @throws {ProvisioningError} `ca-unavailable`: no connection or no answer in time; `ca-misconfigured`: TLS shows that
   * trust or our certificate is wrong; `ca-bad-answer`: more than 1 MiB.
   */
  request(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer>;
}

/** @throws {ProvisioningError} `ca-misconfigured` when a file cannot be read or used. */
export function adapterHttp(options: AdapterHttpOptions): AdapterHttp {
  const { clock, deadlineMs = usualDeadlineMs } = options;
  const dispatchers = new Dispatchers(options, deadlineMs);
  return {
    async request(request, signal) {
      const url = new URL(request.url);
      try {
        return await withDeadline(clock, deadlineMs, signal, (inner) =>
          exchange(dispatchers.for(url), { ...request, url }, inner),
        );
      } catch (error) {
        signal.throwIfAborted();
        throw asProblem(error, url);
      }
    },
    [Symbol.asyncDispose]: () => dispatchers[Symbol.asyncDispose](),
  };
}

/**
 * How long the server asks us to wait, in milliseconds: Retry-After as seconds or as a date (RFC 9110 10.2.3).
 * `now` is milliseconds since the epoch. Undefined when it does not say, or not in a readable way; six hours at most.
 */
export function retryAfterOf(headers: HttpHeaders, now: number): number | undefined {
  const value = headers['retry-after'];
  const text = (Array.isArray(value) ? value[0] : value)?.trim() ?? '';
  const at = /^[A-Za-z]/.test(text) ? Date.parse(text) : Number.NaN;
  const askedMs = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : at - now;
  return Number.isNaN(askedMs) ? undefined : Math.min(longestRetryAfterMs, Math.max(0, askedMs));
}

/** Whether a host (as URL.hostname gives it) is this machine, so that nothing leaves it. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}

/** Direct connections for loopback, else through a proxy where one is set. */
class Dispatchers implements AsyncDisposable {
  readonly #direct: Dispatcher;
  readonly #outside: Dispatcher;
  readonly #sockets = new Set<Socket>();

  constructor({ tls, proxy }: AdapterHttpOptions, deadlineMs: number) {
    const secure = secureContext(tls);
    const connect = connector(secure, deadlineMs, this.#sockets);
    const common = {
      pipelining: 1,
      // On HTTP/2 a server may give back a request it has not begun, and undici would send it again.
      allowH2: false,
      keepAliveTimeout: 4_000,
      // The deadline of each exchange is the stricter one.
      headersTimeout: deadlineMs * 2,
      bodyTimeout: deadlineMs * 2,
    };
    if (proxy !== undefined) {
      this.#outside = new ProxyAgent({ ...common, uri: proxy, requestTls: secure });
      this.#direct = this.#outside;
      return;
    }
    this.#direct = new Agent({ ...common, connect });
    this.#outside = new EnvHttpProxyAgent({ ...common, connect, requestTls: secure });
  }

  for(url: URL): Dispatcher {
    return isLoopback(url.hostname) ? this.#direct : this.#outside;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const destroyed = Promise.all([this.#direct.destroy(), this.#outside.destroy()]);
    for (const socket of this.#sockets) socket.destroy();
    await destroyed;
  }
}

async function exchange(
  dispatcher: Dispatcher,
  { method, url, headers, body }: HttpRequest,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const answer = await send(url, {
    dispatcher,
    method,
    headers: { 'user-agent': `certprov/${packageJson.version}`, ...headers },
    body: body === undefined ? null : typeof body === 'string' ? body : Buffer.from(body),
    signal,
  });
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer.body) {
    bytes += chunk.length;
    if (bytes > mostBodyBytes) {
      throw new ProvisioningError(
        'ca-bad-answer',
        `${placeOf(url)} answered with more than ${mostBodyBytes / 1024} KiB.`,
      );
    }
    chunks.push(chunk);
  }
  return { status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks) };
}

type Secure = Pick<ConnectionOptions, 'ca' | 'cert' | 'key' | 'passphrase' | 'rejectUnauthorized'>;

function secureContext(tls: AdapterTls = {}): Secure {
  const { caFile, certFile, keyFile, passphrase, unverified } = tls;
  const ca = tls.ca ?? (caFile === undefined ? undefined : certificatesIn(caFile));
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new ProvisioningError(
      'ca-misconfigured',
      'A client certificate needs both certFile and keyFile.',
    );
  }
  const context = {
    ...(ca === undefined ? {} : { ca }),
    ...(unverified === true ? { rejectUnauthorized: false } : {}),
    ...(certFile === undefined ? {} : { cert: certificatesIn(certFile) }),
    ...(keyFile === undefined ? {} : { key: readable(keyFile, privateKeyPem) }),
    ...(passphrase === undefined ? {} : { passphrase }),
  };
  try {
    createSecureContext(context);
    checkPair(context);
  } catch (error) {
    throw new ProvisioningError(
      'ca-misconfigured',
      `TLS cannot use caFile, certFile or keyFile (${codeOf(error)}). They must be PEM, key and certificate belong together, and an encrypted key needs its passphrase.`,
      { cause: error },
    );
  }
  return context;
}

/** OpenSSL itself says nothing when the two are of different types: it just shows no certificate. */
function checkPair({
  cert,
  key,
  passphrase,
}: {
  cert?: string;
  key?: string;
  passphrase?: string;
}) {
  if (cert === undefined || key === undefined) return;
  const privateKey = readPrivateKey(key, passphrase);
  if (!new X509Certificate(cert).checkPrivateKey(privateKey)) {
    throw new Error('they do not belong together');
  }
}

/** PEM, whatever form the file has: OpenSSL would pass over DER and others without a word, and trust nobody. */
function certificatesIn(path: string): string {
  return readable(path, readCertificates)
    .map((der) => encodePem('CERTIFICATE', der))
    .join('');
}

function readable<Result>(path: string, read: (bytes: Uint8Array) => Result): Result {
  const bytes = fileOf(path);
  try {
    return read(bytes);
  } catch (error) {
    throw new ProvisioningError(
      'ca-misconfigured',
      `The file ${path} cannot be used: ${codeOf(error)}`,
      { cause: error },
    );
  }
}

function fileOf(path: string): Uint8Array {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (error) {
    throw new ProvisioningError(
      'ca-misconfigured',
      `The file ${path} cannot be read (${codeOf(error)}). Correct the path, or make it readable for the service's user.`,
      { cause: error },
    );
  }
}

function asProblem(error: unknown, url: string | URL): ProvisioningError {
  if (error instanceof ProvisioningError) return error;
  const reason = error instanceof DeadlineError ? error.message : `${codeOf(error)}.`;
  // Waiting does not mend whom we trust, nor who we say we are.
  const hint = hintOf(error);
  return new ProvisioningError(
    hint === '' ? 'ca-unavailable' : 'ca-misconfigured',
    `${placeOf(url)} did not answer: ${reason}${hint}`,
    { cause: error },
  );
}

/** Path and query may hold names of people. */
function placeOf(url: string | URL): string {
  return new URL(url).origin;
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
}

/** OpenSSL's names of failed certificate checks, as Node gives them. */
const untrustedCodes =
  /^(ERR_TLS_CERT|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_(GET_ISSUER|VERIFY_LEAF))/;

function hintOf(error: unknown): string {
  const code = codeOf(error);
  if (untrustedCodes.test(code)) {
    return ' Its certificate is not trusted: put the CA that issued it in caFile, and use the name that stands in it.';
  }
  if (/ALERT|HANDSHAKE/.test(code)) {
    return ' The server ended the TLS handshake: does it ask for a client certificate (certFile, keyFile)?';
  }
  return '';
}
