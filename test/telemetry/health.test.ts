import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type Readiness, startServer, type TelemetryServer } from '../../src/telemetry/health.ts';

const working: Readiness = {
  state: 'running',
  journal: { ready: true },
  inbox: { ready: true },
  clock: { ready: true },
  google: { ready: true },
  authorities: new Map([
    ['ca one', { ready: true }],
    ['ca two', { ready: true }],
  ]),
};

let server: TelemetryServer | undefined;

afterEach(async () => {
  await server?.[Symbol.asyncDispose]();
  server = undefined;
});

async function serving(
  readiness: Partial<Readiness> = {},
  alive = true,
  render = async () => 'certprov_x 1\n',
) {
  server = await startServer({
    host: '127.0.0.1',
    port: 0,
    metrics: { contentType: 'text/plain; version=0.0.4', render },
    readiness: () => ({ ...working, ...readiness }),
    livez: () => ({ ok: alive, detail: 'the loops turned 3 s ago' }),
  });
  const root = `http://127.0.0.1:${server.port}`;
  return (path: string, init: RequestInit = {}) => fetch(`${root}${path}`, init);
}

const down = { ready: false, detail: 'connection refused' };

describe('startServer', () => {
  it.each([
    [
      '127.0.0.1',
      /^127\.0\.0\.1:\d+ \(server\.host, server\.port\) is in use already.*another server\.port/,
    ],
    ['192.0.2.1', /^192\.0\.2\.1:\d+ .* is no address of this machine: correct server\.host/],
  ])('names the keys when %s cannot be listened at', async (host, expected) => {
    await serving();
    const { port = 0 } = server ?? {};
    const readiness = () => working;
    const livez = () => ({ ok: true, detail: '' });
    const metrics = { contentType: 'text/plain', render: async () => '' };
    const second = startServer({ host, port, metrics, readiness, livez });
    await expect(second).rejects.toThrow(expected);
  });

  it('says that the service is alive, and when its loops stand still', async () => {
    expect((await (await serving())('/livez')).status).toBe(200);
    await server?.[Symbol.asyncDispose]();
    const answer = await (await serving({}, false))('/livez');
    expect(answer.status).toBe(503);
    expect(await answer.json()).toEqual({ ok: false, detail: 'the loops turned 3 s ago' });
  });

  it('shows one authority that is down without turning the whole red', async () => {
    const authorities = new Map([...working.authorities, ['ca two', down] as const]);
    const get = await serving({ authorities });
    const whole = await get('/readyz');
    expect(whole.status).toBe(200);
    expect(await whole.json()).toMatchObject({
      ready: true,
      authorities: { 'ca one': { ready: true }, 'ca two': down },
    });
    expect((await get('/readyz/ca%20one')).status).toBe(200);
    expect((await get('/readyz/ca%20two')).status).toBe(503);
    expect((await get('/readyz/none')).status).toBe(404);
    expect((await get('/readyz/%zz')).status).toBe(404);
  });

  it.each<[string, Partial<Readiness>]>([
    ['the journal is down', { journal: down }],
    ['the queue is down', { inbox: down }],
    ['Google is down', { google: down }],
    ['every authority is down', { authorities: new Map([['ca', down]]) }],
    ['it starts', { state: 'starting' }],
    ['it drains', { state: 'draining' }],
  ])('is not ready while %s', async (_when, readiness) => {
    const answer = await (await serving(readiness))('/readyz');
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({ ready: false });
  });

  it('gives the metrics with their content type', async () => {
    const answer = await (await serving())('/metrics');
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4');
    expect(await answer.text()).toBe('certprov_x 1\n');
  });

  it('refuses other paths and methods', async () => {
    const get = await serving();
    expect((await get('/')).status).toBe(404);
    const post = await get('/metrics', { method: 'POST', body: 'x' });
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });

  it('does not wait for a body that never comes', async () => {
    await serving();
    const status = await new Promise((resolve, reject) => {
      const endless = request(
        {
          port: server?.port,
          path: '/metrics',
          method: 'POST',
          headers: { 'content-length': 1e9 },
        },
        (response) => resolve(response.statusCode),
      );
      endless.on('error', reject);
      endless.write('x');
    });
    expect(status).toBe(405);
  });

  it('answers a probe beside two hundred connections that say nothing', async () => {
    const get = await serving();
    const silent = Array.from({ length: 200 }, () => connect(server?.port ?? 0, '127.0.0.1'));
    const turnedAway = silent.map(
      (socket) => new Promise((resolve) => socket.on('error', resolve).once('close', resolve)),
    );
    await Promise.all(silent.map((socket) => new Promise((open) => socket.once('connect', open))));
    expect((await get('/livez')).status).toBe(200);
    // The first ones had to go.
    await Promise.all(turnedAway.slice(0, 100));
    expect(silent.at(-1)?.destroyed).toBe(false);
    for (const socket of silent) socket.destroy();
  });

  it('answers a probe beside connections that ask for all at once and take no answers', async () => {
    let rendered = 0;
    const render = async () => {
      rendered += 1;
      return 'x'.repeat(30_000);
    };
    const get = await serving({}, true, render);
    const port = server?.port ?? 0;
    const all = Array.from({ length: 150 }, () => {
      const greedy = connect(port, '127.0.0.1').on('error', () => undefined);
      greedy.pause();
      greedy.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(100));
      return greedy;
    });
    await Promise.all(all.map((each) => once(each, 'connect')));
    expect((await get('/livez')).status).toBe(200);
    for (const each of all) each.destroy();
    expect(rendered).toBeLessThan(150 * 10);
    // A question after the other is what probes do.
    for (let times = 0; times < 10; times += 1) expect((await get('/readyz')).status).toBe(200);
  });

  it('ends although a client holds its connection open', async () => {
    await serving();
    const port = server?.port ?? 0;
    const socket = connect(port, '127.0.0.1');
    await new Promise((resolve) => socket.once('connect', resolve));
    await server?.[Symbol.asyncDispose]();
    server = undefined;
    socket.destroy();
  });
});
