import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { startServer } from '../../../src/telemetry/health.ts';
import { bytesOf, type Door, demand, textOf } from '../door.ts';

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
const post = 'POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}';
const patienceMs = 300;

/** What somebody sends to the port of /livez, /readyz and /metrics: it has to answer the next one. */
export async function health(): Promise<Door> {
  const server = await startServer({
    host: '127.0.0.1',
    port: 0,
    metrics: {
      contentType: 'text/plain',
      render: () => Promise.resolve('certprov_bugs_total 0\n'),
    },
    livez: () => ({ ok: true, detail: 'fine' }),
    readiness: () => ({
      state: 'running',
      journal: { ready: true },
      inbox: { ready: true },
      clock: { ready: true },
      google: { ready: true },
      authorities: new Map([['ca', { ready: true }]]),
    }),
  });
  return {
    name: 'health',
    form: 'text',
    seeds: [...['/livez', '/metrics', '/readyz', '/readyz/ca', '/readyz/%zz'].map(get), post].map(
      bytesOf,
    ),
    dictionary: [
      'HEAD ',
      'OPTIONS ',
      'CONNECT ',
      'Transfer-Encoding: chunked\r\n',
      'Content-Length: -1\r\n',
      'Upgrade: websocket\r\nConnection: upgrade\r\n',
      'Expect: 100-continue\r\n',
      '/readyz/__proto__',
      '%00',
      '%',
      'http://other/livez',
      '\r\n',
      '\r\n\r\n',
    ],
    generated: fc.uint8Array({ maxLength: 300 }),
    async enter(input) {
      const [said] = (await tell(server.port, input)).split('\r\n', 1);
      const next = await tell(server.port, bytesOf(get('/livez')));
      demand(next.startsWith('HTTP/1.1 200 OK'), `the next one gets ${next.slice(0, 80)}`);
      return said ?? '';
    },
    isRefusal: () => false,
    close: async () => server[Symbol.asyncDispose](),
  };
}

/** What comes back until the server hangs up, or for a moment when it waits for more. */
async function tell(port: number, input: Uint8Array): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  const answer: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => answer.push(chunk));
  // Being cut off is an answer too.
  socket.on('error', () => undefined);
  const over = new AbortController();
  const closed = once(socket, 'close', { signal: over.signal }).catch(() => undefined);
  socket.end(input);
  await Promise.race([closed, sleep(patienceMs, undefined, { signal: over.signal })]);
  over.abort();
  await closed;
  socket.destroy();
  return textOf(Buffer.concat(answer));
}
