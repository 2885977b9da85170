import { request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import { BlockList, isIP, type Socket } from 'node:net';
import type { buildConnector } from 'undici';
import { oneLine } from '../words/one-line.ts';

/*
 * The proxy on the way out, from the environment, read in one way for everything that leaves this machine. The
 * libraries each read it differently: one takes only lower-case names, one takes an empty HTTPS_PROXY for "none"
 * although https_proxy is set, none takes host:port as curl does, and none says what the proxy answered.
 */

/** A proxy, and where it was named. */
export interface Proxy {
  /** http: or https:, with a user and a password where they are needed. Never shown: `place` is for people. */
  readonly url: URL;
  /** The variable or the key that named it. */
  readonly named: string;
}

const namesForHttp = ['http_proxy', 'HTTP_PROXY'] as const;
const namesForHttps = ['https_proxy', 'HTTPS_PROXY', ...namesForHttp] as const;

type Environment = Readonly<Record<string, string | undefined>>;

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

/** Whether a host (URL.hostname) is this machine, so that nothing leaves it. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}

/**
 * The proxy on the way to a URL: `https_proxy` or `HTTPS_PROXY`, for http URLs, and where there is none for https,
 * `http_proxy` or `HTTP_PROXY`. An empty variable counts as not set. Undefined: straight there, as for this machine
 * itself and for what `no_proxy` or `NO_PROXY` names.
 *
 * @throws {ProxyError} when the variable that counts names no proxy.
 */
export function proxyFor(target: URL, environment: Environment = process.env): Proxy | undefined {
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
export function readProxy(value: string, named: string): Proxy {
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

/** A proxy as people are told of it: without user and password, with the name of the variable. */
function placeOf({ url, named }: Proxy): string {
  return `the proxy ${url.protocol}//${url.host} (${named})`;
}

/** What a Proxy-Authorization header holds (RFC 9110 11.7.2), undefined where the proxy asks for nothing. */
export function proxyAuthorization({ url }: Proxy): string | undefined {
  if (url.username === '') return undefined;
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return `Basic ${Buffer.from(credentials).toString('base64')}`;
}

/**
 * Opens a tunnel to `host:port` with CONNECT (RFC 9110 9.3.6).
 *
 * @param target `host:port`, an IPv6 address in brackets
 * @throws {ProxyError} with the proxy's own words when it does not let us through.
 */
export function tunnel(
  proxy: Proxy,
  target: string,
  deadlineMs: number,
  signal?: AbortSignal,
): Promise<Socket> {
  const { url } = proxy;
  const isTls = url.protocol === 'https:';
  const authorization = proxyAuthorization(proxy);
  return new Promise((resolve, reject) => {
    const request = (isTls ? requestTls : requestPlain)({
      method: 'CONNECT',
      host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
      port: url.port === '' ? (isTls ? 443 : 80) : Number(url.port),
      path: target,
      agent: false,
      signal,
      headers: {
        host: target,
        ...(authorization === undefined ? {} : { 'proxy-authorization': authorization }),
      },
    });
    const timer = setTimeout(
      () => request.destroy(new Error(`no answer within ${deadlineMs} ms`)),
      deadlineMs,
    );
    request.once('connect', ({ statusCode = 0, statusMessage = '', headers }, socket, head) => {
      clearTimeout(timer);
      if (statusCode >= 200 && statusCode <= 299) {
        if (head.length > 0) socket.unshift(head);
        return resolve(socket as Socket);
      }
      socket.destroy();
      reject(proxyRefusal(proxy, statusCode, statusMessage, headers));
    });
    request.once('error', (cause) => {
      clearTimeout(timer);
      const reason = oneLine(cause.message || String(cause), 200);
      reject(new ProxyError(`${placeOf(proxy)} cannot be used: ${reason}`, { cause }));
    });
    request.end();
  });
}

/** A connector for undici that goes through the proxy; `connect` then makes the TLS connection in the tunnel. */
export function throughProxy(
  proxy: Proxy,
  connect: buildConnector.connector,
  deadlineMs: number,
  signal?: AbortSignal,
): buildConnector.connector {
  return (options, callback) => {
    const { hostname, protocol, port } = options;
    // undici has taken an address out of its brackets.
    const host = isIP(hostname) === 6 ? `[${hostname}]` : hostname;
    const target = `${host}:${port || (protocol === 'https:' ? 443 : 80)}`;
    tunnel(proxy, target, deadlineMs, signal).then(
      (httpSocket) =>
        protocol === 'https:'
          ? connect({ ...options, httpSocket }, callback)
          : callback(null, httpSocket),
      (error: Error) => callback(error, null),
    );
  };
}

/**
 * Asks the proxy on the way to a host once, for libraries that do not say what it answered. Undefined where there is
 * none, or where it lets us through.
 */
export async function proxyProblem(target: URL, deadlineMs: number): Promise<string | undefined> {
  try {
    const proxy = proxyFor(target);
    if (proxy === undefined) return undefined;
    const socket = await tunnel(proxy, `${target.hostname}:${target.port || 443}`, deadlineMs);
    socket.on('error', () => undefined).destroy();
    return undefined;
  } catch (error) {
    if (error instanceof ProxyError) return error.message;
    throw error;
  }
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

/** Of what a proxy says beside its status, what helps to mend it. */
const tellingHeaders = ['proxy-authenticate', 'server', 'via', 'x-squid-error'] as const;

/** What a proxy said that did not let us through; `words` are its own. */
export function proxyRefusal(
  proxy: Proxy,
  status: number,
  words: string,
  headers: Readonly<Record<string, string | string[] | undefined>>,
): ProxyError {
  const said = tellingHeaders.flatMap((name) => {
    const value = headers[name];
    return value === undefined ? [] : [`${name}: ${[value].flat().join(', ')}`];
  });
  const answer = oneLine([`${status} ${words}`.trim(), ...said].join(', '), 300);
  const hint =
    status === 407
      ? ` It asks who we are: put a user and a password that it knows into ${proxy.named} (http://USER:PASSWORD@HOST:PORT), or let it pass this machine.`
      : '';
  return new ProxyError(`${placeOf(proxy)} answers ${answer}.${hint}`, { status });
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

function exemptions(environment: Environment): string[] {
  const list = environment['no_proxy']?.trim() || environment['NO_PROXY']?.trim() || '';
  return list.split(/[\s,]+/).filter((entry) => entry !== '');
}

/**
 * Whether `no_proxy` names the target: `*`, a name with all below it, `*.name` with only what is below it, an
 * address, a range of addresses (CIDR, RFC 4632), each but the range with a port or without.
 */
function isExempt(target: URL, environment: Environment): boolean {
  const host = bare(target.hostname.replace(/\.$/, ''));
  const port = target.port || (target.protocol === 'https:' ? '443' : '80');
  return exemptions(environment).some((entry) => {
    if (entry === '*') return true;
    if (entry.includes('/')) return isWithin(host, entry);
    const { name, ofPort } = splitPort(entry.toLowerCase());
    if (ofPort !== undefined && ofPort !== port) return false;
    if (isIP(name) !== 0) return isIP(host) !== 0 && isWithin(host, `${name}/${widthOf(name)}`);
    const domain = name.replace(/^\*?\./, '').replace(/\.$/, '');
    if (domain === '') return false;
    return host.endsWith(`.${domain}`) || (host === domain && !name.startsWith('*'));
  });
}

function isWithin(host: string, range: string): boolean {
  const [address = '', width = ''] = range.split('/');
  const network = bare(address);
  const isPossible =
    /^\d{1,3}$/.test(width) && isIP(network) !== 0 && Number(width) <= widthOf(network);
  if (!isPossible || isIP(host) === 0) return false;
  const list = new BlockList();
  list.addSubnet(network, Number(width), familyOf(network));
  return list.check(host, familyOf(host));
}

function splitPort(entry: string): { readonly name: string; readonly ofPort?: string } {
  if (isIP(entry) === 6) return { name: entry };
  const [, name = entry, ofPort] = /^(.+):(\d{1,5})$/.exec(entry) ?? [];
  return { name: bare(name), ...(ofPort === undefined ? {} : { ofPort }) };
}

function bare(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1');
}

function widthOf(address: string): number {
  return isIP(address) === 6 ? 128 : 32;
}

function familyOf(address: string) {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}
