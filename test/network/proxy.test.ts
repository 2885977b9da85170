import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { Agent, buildConnector } from 'undici';
import { describe, expect, it, vi } from 'vitest';
import { Events } from '../../src/events/events.ts';
import { ChromeManagement } from '../../src/google/chrome-management.ts';
import { anonymous } from '../../src/google-auth/credentials.ts';
import { ProxyError, proxyFor, readProxy, settleProxyVariables } from '../../src/network/proxy.ts';
import { proxyProblem, throughProxy, tunnel } from '../../src/network/tunnel.ts';
import { CallBudget } from '../../src/time/call-budget.ts';
import { SkippingClock } from '../support/skipping-clock.ts';

const google = new URL('https://chromemanagement.googleapis.com/v1/x');
const found = (environment: Record<string, string>, target = google) => {
  const proxy = proxyFor(target, environment);
  return proxy && `${proxy.named} ${proxy.url.href}`;
};

describe('the proxy of the environment', () => {
  it.each<[string, Record<string, string>, string | undefined]>([
    ['a URL', { HTTPS_PROXY: 'http://p:3128' }, 'HTTPS_PROXY http://p:3128/'],
    ['host:port, as curl takes it', { HTTPS_PROXY: 'p:3128' }, 'HTTPS_PROXY http://p:3128/'],
    ['an address', { https_proxy: '10.0.0.1:3128' }, 'https_proxy http://10.0.0.1:3128/'],
    ['user and password', { https_proxy: 'u:p%40@p:1' }, 'https_proxy http://u:p%40@p:1/'],
    [
      'an empty HTTPS_PROXY beside https_proxy',
      { HTTPS_PROXY: '', https_proxy: 'p:1' },
      'https_proxy http://p:1/',
    ],
    [
      'an empty https_proxy beside HTTPS_PROXY',
      { HTTPS_PROXY: 'p:1', https_proxy: ' ' },
      'HTTPS_PROXY http://p:1/',
    ],
    [
      'the lower-case one before the other',
      { HTTPS_PROXY: 'a:1', https_proxy: 'b:1' },
      'https_proxy http://b:1/',
    ],
    ['HTTP_PROXY where there is no other', { HTTP_PROXY: 'p:1' }, 'HTTP_PROXY http://p:1/'],
    ['nothing', { HTTPS_PROXY: '' }, undefined],
  ])('is read: %s', (_what, environment, expected) => {
    expect(found(environment)).toBe(expected);
  });

  it('is not that of https for an http URL, and none for this machine', () => {
    const environment = { HTTPS_PROXY: 's:1', HTTP_PROXY: 'h:1' };
    expect(found(environment, new URL('http://ca.example'))).toBe('HTTP_PROXY http://h:1/');
    expect(found(environment, new URL('https://[::1]:1'))).toBeUndefined();
  });

  it.each([
    ['*', 'https://ca.example', true],
    ['ca.example', 'https://ca.example', true],
    ['example', 'https://ca.example', true],
    ['.CA.example.', 'https://ca.example.', true],
    ['*.ca.example', 'https://ca.example', false],
    ['*.ca.example', 'https://x.ca.example', true],
    ['a.example', 'https://ca.example', false],
    ['x, ca.example y', 'https://ca.example', true],
    ['ca.example:443', 'https://ca.example', true],
    ['ca.example:8443', 'https://ca.example', false],
    ['10.0.0.0/8', 'https://10.1.2.3:8443', true],
    ['10.0.0.0/8', 'https://11.1.2.3', false],
    ['10.0.0.0/8', 'https://10.example', false],
    ['10.0.0.0/99', 'https://10.1.2.3', false],
    ['10.1.2.3', 'https://10.1.2.3', true],
    ['fd00::/8', 'https://[fd12::1]', true],
    ['[fd12::1]:443', 'https://[fd12::1]', true],
    ['fd12::1', 'https://[fd12:0::1]', true],
    [',,', 'https://ca.example', false],
  ])('is not used, with NO_PROXY=%s, for %s: %s', (list, target, direct) => {
    const proxy = proxyFor(new URL(target), { HTTPS_PROXY: 'p:1', NO_PROXY: list, no_proxy: '' });
    expect(proxy === undefined).toBe(direct);
  });

  it.each([
    'http://u:TOP#SECRET@p:1',
    'u:%zzSECRET@p',
    'socks5://u:SECRET@p:1',
    'p:99999',
    'http://',
    'http://DOMAIN\\u:SECRET@p:1',
    'http://u:1/SECRET@p:1',
    '"http://u:SECRET@p:1"',
  ])('that cannot be one is named, not shown: %s', (value) => {
    expect(() => found({ HTTPS_PROXY: value })).toThrow(ProxyError);
    expect(() => found({ HTTPS_PROXY: value })).toThrow(/^HTTPS_PROXY (?!.*SECRET)/);
  });

  it('is written out as every library reads it', () => {
    const environment: Record<string, string | undefined> = {
      HTTPS_PROXY: '',
      https_proxy: 'p:3128',
      http_proxy: '',
      NO_PROXY: '.corp  a.example,,10.0.0.0/8',
    };
    settleProxyVariables(environment);
    expect(environment).toEqual({
      https_proxy: 'http://p:3128/',
      grpc_proxy: 'http://p:3128/',
      no_proxy: '.corp,a.example,10.0.0.0/8',
      NO_PROXY: '.corp,a.example,10.0.0.0/8',
    });
    const upper = { HTTPS_PROXY: 'p:3128', HTTP_PROXY: 'a:1', http_proxy: 'b:1' };
    settleProxyVariables(upper);
    expect(proxyFor(google, upper)?.named).toBe('HTTPS_PROXY');
    expect(upper).toEqual({
      HTTPS_PROXY: 'http://p:3128/',
      HTTP_PROXY: 'http://b:1/',
      http_proxy: 'http://b:1/',
      grpc_proxy: 'http://p:3128/',
    });
    const unreadable = { HTTPS_PROXY: 'socks5://p' };
    settleProxyVariables(unreadable);
    expect(() => proxyFor(google, unreadable)).toThrow(/proxy of the kind socks5/);
  });
});

describe('a tunnel', () => {
  const portOf = (server: Server) => (server.address() as AddressInfo).port;
  async function listening(server: Server): Promise<Server & AsyncDisposable> {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return Object.assign(server, {
      [Symbol.asyncDispose]: async () => {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      },
    });
  }

  it('shows the proxy who we are, and leads to the server', async () => {
    await using server = await listening(createServer((_request, response) => response.end('it')));
    const seen: (string | undefined)[] = [];
    const relay = createServer().on('connect', (request, socket) => {
      seen.push(request.url, request.headers['proxy-authorization']);
      const far = connect(portOf(server), '127.0.0.1');
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      far.pipe(socket).pipe(far);
    });
    await using proxyServer = await listening(relay);
    const proxy = readProxy(`u:p%40@127.0.0.1:${portOf(proxyServer)}`, 'HTTPS_PROXY');
    const socket = await tunnel(proxy, 'google.example:443', 5_000);
    socket.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    let text = '';
    for await (const chunk of socket) text += chunk;
    expect(text).toMatch(/it/);
    expect(seen).toEqual(['google.example:443', 'Basic dTpwQA==']);
  });

  it('leads to an address of IPv6, which is named in brackets (RFC 9110 9.3.6)', async () => {
    const asked: (string | undefined)[] = [];
    const relay = createServer().on('connect', (request, socket) => {
      asked.push(request.url, request.headers.host);
      socket.end('HTTP/1.1 503 No\r\n\r\n');
    });
    await using server = await listening(relay);
    const proxy = readProxy(`127.0.0.1:${portOf(server)}`, 'HTTPS_PROXY');
    const way = throughProxy(proxy, buildConnector({}), 5_000);
    const agent = new Agent({ connect: way });
    const answer = agent.request({
      origin: 'https://[2001:db8::1]:8443',
      path: '/',
      method: 'GET',
    });
    await expect(answer).rejects.toThrow(/answers 503/);
    await agent.destroy();
    expect(asked).toEqual(['[2001:db8::1]:8443', '[2001:db8::1]:8443']);
  });

  it('that is refused with 407 says so in the proxy’s own words, with the variable’s name', async () => {
    await using server = await listening(
      createServer().on('connect', (_request, socket) =>
        socket.end(
          'HTTP/1.1 407 Proxy Authentication Required\r\nServer: squid/5.7\r\nProxy-Authenticate: Basic realm="Corp"\r\n\r\n<html>',
        ),
      ),
    );
    const port = portOf(server);
    const proxy = readProxy(`http://u:SECRET@127.0.0.1:${port}`, 'https_proxy');
    const error = await tunnel(proxy, 'g:443', 5_000).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ status: 407 });
    expect(String(error)).toContain(
      `the proxy http://127.0.0.1:${port} (https_proxy) answers 407 Proxy Authentication Required, proxy-authenticate: Basic realm="Corp", server: squid/5.7.`,
    );
    expect(String(error)).not.toContain('SECRET');
    vi.stubEnv('https_proxy', '');
    vi.stubEnv('HTTPS_PROXY', `127.0.0.1:${port}`);
    const clock = new SkippingClock();
    await using api = new ChromeManagement({
      endpoint: 'https://google.example',
      tokens: anonymous,
      budget: new CallBudget({ requestsPerSecond: 10, clock }),
      events: new Events(),
      clock,
      random: () => 0,
    });
    const pubsub = new URL('https://pubsub.googleapis.com');
    expect(await proxyProblem(pubsub)).toMatch(/\(HTTPS_PROXY\) answers 407/);
    vi.unstubAllEnvs();
    const reference = { customer: 'c', processId: 'p' };
    await expect(
      api.claim(reference, 'i', () => Promise.resolve(), new AbortController().signal),
    ).rejects.toMatchObject({
      code: 'google-unavailable',
      unclear: false,
      message: expect.stringMatching(
        /^claim: no answer from Google \(the proxy .* \(HTTPS_PROXY\) answers 407/,
      ),
    });
  });

  it('to a proxy that is not there or that is silent has an end', async () => {
    await using silent = await listening(
      createServer().on('connect', (_request, socket) =>
        socket.resume().once('end', () => socket.end()),
      ),
    );
    const proxy = readProxy(`127.0.0.1:${portOf(silent)}`, 'HTTPS_PROXY');
    await expect(tunnel(proxy, 'g:443', 50)).rejects.toThrow(/no answer within 50 ms/);
    await expect(tunnel(readProxy('127.0.0.1:1', 'HTTPS_PROXY'), 'g:443', 500)).rejects.toThrow(
      /\(HTTPS_PROXY\) cannot be used: .*ECONNREFUSED/,
    );
  });
});
