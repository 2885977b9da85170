import { isLoopback } from './host.ts';
import { type Environment, exemptions, isExempt } from './no-proxy.ts';

/*
 * The proxy on the way out, from the environment, read in one way for everything that leaves this machine. The
 * libraries each read it differently: one takes only lower-case names, one takes an empty HTTPS_PROXY for "none"
 * although https_proxy is set, none takes host:port as curl does, and none says what the proxy answered.
 */

/** A proxy, and where it was named. */
export interface ProxyServer {
  /** http: or https:, with a user and a password where they are needed. Never shown: `place` is for people. */
  readonly url: URL;
  /** The variable or the key that named it. */
  readonly named: string;
}

const namesForHttp = ['http_proxy', 'HTTP_PROXY'] as const;
const namesForHttps = ['https_proxy', 'HTTPS_PROXY', ...namesForHttp] as const;

/** The proxy cannot be used, or did not let us through. The message says which, by what name, and what it said. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError';
  readonly code = 'ERR_PROXY';
  /** The HTTP status that the proxy answered to CONNECT. */
  readonly status: number | undefined;

  constructor(message: string, options: ErrorOptions & { readonly status?: number } = {}) {
    super(message, options);
    this.status = options.status;
  }
}

/**
 * The proxy on the way to a URL: `https_proxy` or `HTTPS_PROXY`, for http URLs, and where there is none for https,
 * `http_proxy` or `HTTP_PROXY`. An empty variable counts as not set. Undefined: straight there, as for this machine
 * itself and for what `no_proxy` or `NO_PROXY` names.
 *
 * @throws {ProxyError} when the variable that counts names no proxy.
 */
export function proxyFor(
  target: URL,
  environment: Environment = process.env,
): ProxyServer | undefined {
  if (isLoopback(target.hostname) || isExempt(target, environment)) return undefined;
  for (const named of target.protocol === 'https:' ? namesForHttps : namesForHttp) {
    const value = environment[named]?.trim() ?? '';
    if (value !== '') return readProxy(value, named);
  }
  return undefined;
}

/**
 * Reads `http://user:password@host:port`, and `host:port` as curl takes it.
 *
 * @param named where the value stands, for the message
 * @throws {ProxyError} for anything else; the message does not show the value, which may hold a password.
 */
export function readProxy(value: string, named: string): ProxyServer {
  const text = /^[a-z][a-z\d+.-]*:\/\//i.test(value) ? value : `http://${value}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  // Behind a bare \ or / a password would be a path, and the user before it the host.
  const isTorn = /["'\\\s]/.test(text) || `${url?.pathname}${url?.search}`.includes('@');
  if (url === undefined || url.hostname === '' || isTorn || !isDecodable(url)) {
    throw new ProxyError(
      `${named} does not name a proxy. Write http://HOST:PORT or HOST:PORT; special characters in a user’s name or password are written percent-encoded (@ as %40, \\ as %5C, / as %2F).`,
    );
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new ProxyError(
      `${named} names a proxy of the kind ${url.protocol}//, which cannot be used. Name an http:// or https:// proxy.`,
    );
  }
  return { url, named };
}

/** What a Proxy-Authorization header holds (RFC 9110 11.7.2), undefined where the proxy asks for nothing. */
export function proxyAuthorization({ url }: ProxyServer): string | undefined {
  if (url.username === '') return undefined;
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return `Basic ${Buffer.from(credentials).toString('base64')}`;
}

/**
 * Writes the variables out so that every library reads in them what {@link proxyFor} does: URLs, none of them empty, a
 * list with commas, and gRPC's own variable, for it knows lower-case names alone. Names stay those that somebody set.
 * What cannot be read stays as it is, for {@link proxyFor} to name.
 */
export function settleProxyVariables(environment: Record<string, string | undefined>): void {
  for (const name of ['https_proxy', 'http_proxy']) {
    const upper = name.toUpperCase();
    for (const each of [name, upper]) {
      const value = environment[each]?.trim() ?? '';
      if (value === '') delete environment[each];
      else environment[each] = settled(value, each);
    }
    // Where both are set some take the one and some the other.
    if (environment[upper] !== undefined)
      environment[upper] = environment[name] ?? environment[upper];
  }
  const found = namesForHttps.map((name) => environment[name]).find((value) => value !== undefined);
  if (found !== undefined) environment['grpc_proxy'] ??= found;
  const exempt = exemptions(environment).join(',');
  if (exempt !== '') {
    environment['no_proxy'] = exempt;
    environment['NO_PROXY'] = exempt;
  }
}

function settled(value: string, named: string): string {
  try {
    return readProxy(value, named).url.href;
  } catch (error) {
    if (error instanceof ProxyError) return value;
    throw error;
  }
}

function isDecodable({ username, password }: URL): boolean {
  try {
    decodeURIComponent(username + password);
    return true;
  } catch (error) {
    if (error instanceof URIError) return false;
    throw error;
  }
}
