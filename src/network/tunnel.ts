import { request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import { isIP, type Socket } from 'node:net';
import type { buildConnector } from 'undici';
import { oneLine } from '../words/one-line.ts';
import { portOf, withoutBrackets } from './host.ts';
import { ProxyError, type ProxyServer, proxyAuthorization, proxyFor } from './proxy.ts';

/*
 * The way through a proxy, and what it said when it did not let us through.
 */

/**
 * Opens a tunnel to `host:port` with CONNECT (RFC 9110 9.3.6).
 *
 * @param target `host:port`, an IPv6 address in brackets
 * @throws {ProxyError} with the proxy's own words when it does not let us through.
 */
export function tunnel(
  proxy: ProxyServer,
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
      host: withoutBrackets(url.hostname),
      port: portOf(url),
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
  proxy: ProxyServer,
  connect: buildConnector.connector,
  deadlineMs: number,
  signal?: AbortSignal,
): buildConnector.connector {
  return (options, callback) => {
    const { hostname, protocol } = options;
    // undici has taken an address out of its brackets.
    const host = isIP(hostname) === 6 ? `[${hostname}]` : hostname;
    const target = `${host}:${portOf(options)}`;
    tunnel(proxy, target, deadlineMs, signal).then(
      (httpSocket) =>
        protocol === 'https:'
          ? connect({ ...options, httpSocket }, callback)
          : callback(null, httpSocket),
      (error: Error) => callback(error, null),
    );
  };
}

/** How long a proxy may take to say whether it lets us through. */
const askedWithinMs = 3_000;

/**
 * Asks the proxy on the way to a host once, for libraries that do not say what it answered. Undefined where there is
 * none, or where it lets us through.
 */
export async function proxyProblem(target: URL): Promise<string | undefined> {
  try {
    const proxy = proxyFor(target);
    if (proxy === undefined) return undefined;
    const socket = await tunnel(proxy, `${target.hostname}:${portOf(target)}`, askedWithinMs);
    socket.on('error', () => undefined).destroy();
    return undefined;
  } catch (error) {
    if (error instanceof ProxyError) return error.message;
    throw error;
  }
}

/** Of what a proxy says beside its status, what helps to mend it. */
const tellingHeaders = ['proxy-authenticate', 'server', 'via', 'x-squid-error'] as const;

/** What a proxy said that did not let us through; `words` are its own. */
export function proxyRefusal(
  proxy: ProxyServer,
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

/** A proxy as people are told of it: without user and password, with the name of the variable. */
function placeOf({ url, named }: ProxyServer): string {
  return `the proxy ${url.protocol}//${url.host} (${named})`;
}
