import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, createServer as createRawServer, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { adapterHttp } from '../../../adapters/shared/http.ts';
import { type AdapterTls, tlsTrouble } from '../../../adapters/shared/tls.ts';
import { systemClock } from '../../../src/time/clock.ts';
import { encodePem } from '../../../src/x509/pem.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { type Credentials, DoubleCa } from '../doubles/est-cmp-ca.ts';
import { startTunnelProxy } from '../doubles/named-tls-server.ts';

const never = new AbortController().signal;
const head = 'HTTP/1.1 200 OK\r\nContent-Length: ';

interface Listening extends AsyncDisposable {
  readonly port: number;
  readonly sockets: Socket[];
}

/** A server of bytes: `serve` is called with the first bytes of each connection. */
async function listen(serve: (socket: Socket) => void, tls?: TlsOptions): Promise<Listening> {
  const sockets: Socket[] = [];
  const met = (socket: Socket) => {
    sockets.push(socket);
    // What the client does to a connection is its own affair.
    socket.on('error', () => undefined);
    socket.once('data', () => serve(socket));
  };
  const server = tls === undefined ? createRawServer(met) : createTlsServer(tls, met);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

function post(port: number, options: { tls?: AdapterTls; scheme?: string; host?: string } = {}) {
  const { tls, scheme = 'http', host = 'localhost' } = options;
  const http = adapterHttp({ clock: systemClock, tls });
  const request = { method: 'POST', url: `${scheme}://${host}:${port}/`, body: 'order' } as const;
  return http.request(request, never).finally(() => http[Symbol.asyncDispose]());
}

describe('an answer that is none', () => {
  it.each<[string, (socket: Socket) => void, object]>([
    [
      'a dropped connection',
      (socket) => socket.destroy(),
      {
        code: 'ca-unavailable',
        message: expect.stringMatching(/did not answer: the connection .* Does it speak https/),
      },
    ],
    [
      'a reset',
      (socket) => socket.resetAndDestroy(),
      { code: 'ca-unavailable', message: expect.stringMatching(/did not answer: the connection/) },
    ],
    [
      'a head without its end',
      (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-'),
      { code: 'ca-unavailable' },
    ],
    [
      'a cut body',
      (socket) => socket.end(`${head}100\r\n\r\n{"certif`),
      { code: 'ca-bad-answer', message: expect.stringContaining('(status 200) was cut short') },
    ],
    [
      'a cut body in chunks',
      (socket) => socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{"cer'),
      { code: 'ca-bad-answer', message: expect.stringContaining('was cut short') },
    ],
    [
      'no HTTP',
      (socket) => socket.end('220 mail.example ESMTP\r\n'),
      { code: 'ca-bad-answer', message: expect.stringContaining('speaks no HTTP') },
    ],
    [
      'a coding that it does not have',
      (socket) => socket.end(`${head}4\r\nContent-Encoding: gzip\r\n\r\nnope`),
      { code: 'ca-bad-answer', message: expect.stringContaining('content coding gzip') },
    ],
    [
      'a coding that nobody knows',
      (socket) => socket.end(`${head}4\r\nContent-Encoding: aes128gcm\r\n\r\nnope`),
      { code: 'ca-bad-answer', message: expect.stringContaining('content coding aes128gcm') },
    ],
    [
      'a bomb',
      (socket) => {
        const body = gzipSync(Buffer.alloc(8 * 1024 * 1024));
        socket.write(`${head}${body.length}\r\nContent-Encoding: gzip\r\n\r\n`);
        socket.end(body);
      },
      { code: 'ca-bad-answer', message: expect.stringContaining('content coding gzip') },
    ],
  ])('leaves an order unanswered: %s', async (_, serve, expected) => {
    await using server = await listen(serve);
    await expect(post(server.port)).rejects.toMatchObject({ ...expected, unanswered: true });
  });

  it.each([
    ['before a connection is there', false],
    ['behind the order', true],
  ])('is one that does not come in time, %s', async (_, isSent) => {
    const reached = Promise.withResolvers<void>();
    await using server = await listen(
      () => reached.resolve(),
      isSent ? undefined : { key: '', SNICallback: () => reached.resolve() },
    );
    const clock = new ManualClock();
    await using http = adapterHttp({ clock, deadlineMs: 30_000 });
    const url = `${isSent ? 'http' : 'https'}://localhost:${server.port}`;
    const call = http.request({ method: 'POST', url, body: 'order' }, never);
    const rejected = expect(call).rejects.toMatchObject({
      code: 'ca-unavailable',
      unanswered: isSent,
      message: expect.stringContaining('No answer within 30 seconds'),
    });
    await reached.promise;
    clock.advance(30_000);
    await rejected;
  });

  it('is of no matter to an order that surely never left', async () => {
    const server = await listen(() => undefined);
    await server[Symbol.asyncDispose]();
    await expect(post(server.port)).rejects.toMatchObject({
      code: 'ca-unavailable',
      unanswered: false,
      message: `http://localhost:${server.port} cannot be reached: nothing listens there (ECONNREFUSED).`,
    });
  });

  it('hides nothing behind a request that is safe', async () => {
    await using server = await listen((socket) => socket.destroy());
    await using http = adapterHttp({ clock: systemClock });
    const url = `http://localhost:${server.port}`;
    for (const method of ['GET', 'POST'] as const) {
      const request = { method, url, safe: true };
      await expect(http.request(request, never)).rejects.toMatchObject({
        code: 'ca-unavailable',
        unanswered: false,
      });
    }
    // Twice each: it may be an idle connection's end only.
    expect(server.sockets).toHaveLength(4);
  });
});

describe('a server that is only unusual', () => {
  it('may compress what nobody asked it to', async () => {
    const body = gzipSync('{"certificate":"…"}');
    const asked: string[] = [];
    await using server = await listen((socket) => {
      socket.write(`${head}${body.length}\r\nContent-Encoding: x-gzip\r\n\r\n`);
      socket.end(body);
    });
    const answer = await post(server.port);
    expect(answer.body.toString()).toBe('{"certificate":"…"}');
    expect(asked).toEqual([]);
  });

  it('is asked not to', async () => {
    const server = createServer((request, answer) =>
      answer.end(request.headers['accept-encoding']),
    ).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const answer = await post((server.address() as AddressInfo).port);
    server.close();
    expect(answer.body.toString()).toBe('identity');
  });

  it.each(['POST', 'GET'] as const)(
    'may close behind its answer without having said so, and loses no %s',
    async (method) => {
      const answered = new WeakSet<Socket>();
      await using server = await listen((socket) => {
        const answer = () => {
          // What comes behind the first request finds nobody.
          if (answered.has(socket)) return socket.destroy();
          answered.add(socket);
          return socket.write(`${head}2\r\n\r\nok`);
        };
        answer();
        socket.on('data', answer);
      });
      await using http = adapterHttp({ clock: systemClock });
      const request = { method, url: `http://localhost:${server.port}` };
      for (let turn = 0; turn < 20; turn++) {
        expect((await http.request(request, never)).status).toBe(200);
      }
    },
  );
});

describe('TLS that fails', () => {
  const ca = new DoubleCa();
  const root = encodePem('CERTIFICATE', ca.root);
  const yesterday = Date.now() - 3_600_000;

  it.each<[string, Credentials, string]>([
    ['an unknown CA', new DoubleCa().serverCredentials('localhost'), 'in tls.caFile'],
    [
      'another name',
      ca.serverCredentials('other.example'),
      'is for other names (DNS:other.example)',
    ],
    ['a past', ca.serverCredentials('localhost', yesterday), 'has expired. Renew it'],
  ])(
    'says of a server with %s what is wrong, and what mends it',
    async (_, { certificatePem, keyPem }, words) => {
      const tls = { cert: certificatePem, key: keyPem };
      await using server = await listen((socket) => socket.end(`${head}0\r\n\r\n`), tls);
      const call = post(server.port, { scheme: 'https', tls: { ca: root } });
      await expect(call).rejects.toMatchObject({
        code: 'ca-misconfigured',
        message: expect.stringContaining(words),
        unanswered: false,
      });
    },
  );

  // Node's own servers only drop the connection; test/peers has servers that say these.
  it.each([
    ['TLSV13_ALERT_CERTIFICATE_REQUIRED', 'Set tls.certFile and tls.keyFile'],
    ['TLSV1_ALERT_UNKNOWN_CA', 'does not trust the issuer of our client certificate'],
    ['SSLV3_ALERT_CERTIFICATE_EXPIRED', 'has expired. Renew it'],
    ['SSL/TLS_ALERT_CERTIFICATE_EXPIRED', 'has expired. Renew it'],
    ['SSLV3_ALERT_CERTIFICATE_REVOKED', 'is revoked'],
    ['SSLV3_ALERT_BAD_CERTIFICATE', 'does not take our client certificate'],
    ['SSLV3_ALERT_HANDSHAKE_FAILURE', 'tls.certFile'],
    ['TLSV1_UNRECOGNIZED_NAME', 'does not serve this name'],
    ['TLSV1_ALERT_UNRECOGNIZED_NAME', 'does not serve this name'],
    ['TLSV1_ALERT_PROTOCOL_VERSION', 'no TLS version in common'],
    ['DECRYPTION_FAILED_OR_BAD_RECORD_MAC', undefined],
  ])('reads the alert %s', (code, words) => {
    const trouble = tlsTrouble(Object.assign(new Error('SSL alert'), { code: `ERR_SSL_${code}` }));
    if (words === undefined) expect(trouble).toBeUndefined();
    else expect(trouble).toContain(words);
  });

  it('says so of a port without TLS', async () => {
    await using server = await listen((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await expect(post(server.port, { scheme: 'https' })).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringContaining('does not speak TLS on this port'),
    });
  });
});

describe('a proxy', () => {
  afterEach(() => void vi.unstubAllEnvs());

  async function refusingProxy(status: number) {
    const seen: IncomingMessage[] = [];
    const says = { 'proxy-authenticate': 'Basic realm="Example Corp"', server: 'squid/5.7' };
    const server = createServer((request, answer) => {
      seen.push(request);
      answer.writeHead(status, 'Who Are You', says).end('<html>no</html>');
    });
    server.on('connect', (request, socket) => {
      seen.push(request);
      const lines = Object.entries(says).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.end(`HTTP/1.1 ${status} Who Are You\r\n${lines.join('')}\r\n`);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return {
      place: `127.0.0.1:${(server.address() as AddressInfo).port}`,
      seen,
      async [Symbol.asyncDispose]() {
        server.close();
        server.closeAllConnections();
      },
    };
  }

  it.each(['http', 'https'])(
    'is heard in its own words when it does not know us (%s)',
    async (scheme) => {
      await using proxy = await refusingProxy(407);
      vi.stubEnv('https_proxy', '');
      vi.stubEnv('HTTPS_PROXY', proxy.place);
      vi.stubEnv('http_proxy', '');
      vi.stubEnv('HTTP_PROXY', proxy.place);
      const named = scheme === 'http' ? 'HTTP_PROXY' : 'HTTPS_PROXY';
      const call = post(4, { scheme, host: 'ca.example' });
      await expect(call).rejects.toMatchObject({
        code: 'ca-misconfigured',
        unanswered: false,
        message: expect.stringMatching(
          new RegExp(`the proxy http://${proxy.place} \\(${named}\\) answers 407 .*Example Corp`),
        ),
      });
    },
  );

  it.each([
    [403, 'ca-misconfigured'],
    [503, 'ca-unavailable'],
  ])('that opens no tunnel (%s) leaves no order unanswered', async (status, code) => {
    await using proxy = await refusingProxy(status);
    await using http = adapterHttp({ clock: systemClock, proxy: proxy.place });
    const request = { method: 'POST', url: 'https://ca.example/', body: 'order' } as const;
    await expect(http.request(request, never)).rejects.toMatchObject({ code, unanswered: false });
  });

  it('hands on what is sent in clear, and is told who we are', async () => {
    await using proxy = await refusingProxy(200);
    await using http = adapterHttp({
      clock: systemClock,
      proxy: `http://us:secret%3F@${proxy.place}`,
    });
    const request = { method: 'POST', url: 'http://ca.example/scep?x=1', body: 'order' } as const;
    expect((await http.request(request, never)).status).toBe(200);
    const [seen] = proxy.seen;
    expect(seen?.url).toBe('http://ca.example/scep?x=1');
    expect(seen?.headers).toMatchObject({
      host: 'ca.example',
      'proxy-authorization': `Basic ${Buffer.from('us:secret?').toString('base64')}`,
    });
  });

  it('is passed by where NO_PROXY says so', async () => {
    await using proxy = await startTunnelProxy();
    const server = await listen(() => undefined);
    await server[Symbol.asyncDispose]();
    vi.stubEnv('HTTPS_PROXY', proxy.url);
    vi.stubEnv('NO_PROXY', '10.0.0.0/8,127.0.0.0/8');
    const call = post(server.port, { scheme: 'https', host: '127.0.0.1' });
    await expect(call).rejects.toThrow('nothing listens there');
    expect(proxy.asked).toEqual([]);
  });

  it('that is not there is named', async () => {
    const server = await listen(() => undefined);
    await server[Symbol.asyncDispose]();
    vi.stubEnv('HTTPS_PROXY', `http://127.0.0.1:${server.port}`);
    vi.stubEnv('https_proxy', '');
    await expect(post(4, { scheme: 'https', host: 'ca.example' })).rejects.toMatchObject({
      code: 'ca-unavailable',
      unanswered: false,
      message: expect.stringContaining('(HTTPS_PROXY) cannot be used: connect ECONNREFUSED'),
    });
  });
});
