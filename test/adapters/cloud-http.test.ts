import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { adapterHttp, retryAfterOf } from '../../adapters/shared/http.ts';
import { serverUrl } from '../../adapters/shared/server-options.ts';
import { systemClock as clock } from '../../src/clock.ts';
import { CloudServer } from './doubles/cloud-server.ts';

const never = new AbortController().signal;
let server: CloudServer;

beforeEach(async () => {
  server = await CloudServer.start(({ body }) => ({ status: 418, body: `got ${body}` }));
});

afterEach(() => server[Symbol.asyncDispose]());

describe('HTTP to a CA', () => {
  it('gives back whatever the server answers', async () => {
    await using http = adapterHttp({ clock });
    const request = { method: 'POST', url: `${server.origin}/x`, body: 'text' } as const;
    const answer = await http.request(request, never);
    expect([answer.status, answer.body.toString()]).toEqual([418, 'got text']);
  });

  it('follows no redirect', async () => {
    server.instead.push(() => ({ status: 302, headers: { location: '/elsewhere' }, body: '' }));
    await using http = adapterHttp({ clock });
    const answer = await http.request({ method: 'GET', url: server.origin }, never);
    expect(answer.status).toBe(302);
    expect(server.seen.length).toBe(1);
  });

  it('gives up on a server that stays silent', async () => {
    server.hang();
    await using http = adapterHttp({ clock, deadlineMs: 50 });
    const answer = http.request({ method: 'GET', url: server.origin }, never);
    await expect(answer).rejects.toMatchObject({ code: 'ca-unavailable' });
  });

  it('goes through a proxy', async () => {
    const through: (string | undefined)[] = [];
    const proxy = createServer();
    proxy.on('connect', (request, client) => {
      through.push(request.url);
      const [host = '', port] = (request.url ?? '').split(':');
      const upstream = connect(Number(port), host, () => {
        client.write('HTTP/1.1 200 Connection established\r\n\r\n');
        upstream.pipe(client).pipe(upstream);
      });
      upstream.on('error', () => client.destroy());
      client.on('error', () => upstream.destroy());
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const { port } = proxy.address() as AddressInfo;
    {
      await using http = adapterHttp({ clock, proxy: `http://127.0.0.1:${port}` });
      await http.request({ method: 'GET', url: server.origin }, never);
    }
    expect(through).toEqual([new URL(server.origin).host]);
    proxy.close();
  });
});

describe('Retry-After', () => {
  const now = Date.UTC(2026, 0, 1);

  it.each([
    ['5', 5_000],
    ['Thu, 01 Jan 2026 00:00:07 GMT', 7_000],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    ['99999999', 3_600_000],
    ['soon', undefined],
    [undefined, undefined],
  ])('of %s is %s', (header, expected) => {
    expect(retryAfterOf({ 'retry-after': header }, now)).toBe(expected);
  });
});

describe('a server’s URL', () => {
  it.each(['https://ca.example.org/x', 'http://127.0.0.1:8', 'http://localhost', 'http://[::1]:1'])(
    'may be %s',
    (url) => expect(serverUrl.safeParse(url).success).toBe(true),
  );

  it.each([
    'http://ca.example.org',
    'ftp://127.0.0.1',
    'https://u:p@ca.example.org',
    'ca',
    'http://127.evil.example',
  ])('may not be %s', (url) => expect(serverUrl.safeParse(url).success).toBe(false));
});
