import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adapters } from '../../adapters/index.ts';
import { adapterHttp } from '../../adapters/shared/http.ts';
import type { AdapterTls } from '../../adapters/shared/tls.ts';
import { freePort } from '../../simulator/peers/free-port.ts';
import { type LoopbackProcess, startProcess } from '../../simulator/peers/loopback-process.ts';
import { systemClock } from '../../src/time/clock.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { DoubleCa } from '../adapters/doubles/est-cmp-ca.ts';
import { type EstServer, startEstServer } from '../adapters/doubles/est-server.ts';
import { connectContext } from '../support/connect-context.ts';
import { requirePeer } from '../support/peer.ts';
import { sampleOrder } from '../support/sample-order.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const nginx = '/usr/sbin/nginx';
const openssl = '/usr/bin/openssl';
const there = await requirePeer(
  'nginx and openssl',
  () => existsSync(nginx) && existsSync(openssl),
  'apt-get install nginx-light openssl',
);
const never = new AbortController().signal;

/** What a web server before a CA does of its own: names, certificates, pages, and the ends of connections. */
describe.skipIf(!there)('behind a real web server', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let upstream: EstServer;
  let cutting: Server;
  let process: LoopbackProcess;
  let port: number;
  let strictPort: number;
  let opensslPort: number;
  let openssl13: LoopbackProcess;
  const at = (name: string) => join(directory.path, name);

  beforeAll(async () => {
    directory = await temporaryDirectory();
    upstream = await startEstServer({ username: 'ra', password: 'secret' });
    cutting = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\nMIIB'));
    }).listen(0, '127.0.0.1');
    await once(cutting, 'listening');
    const ca = new DoubleCa();
    const roots = encodePem('CERTIFICATE', ca.root) + encodePem('CERTIFICATE', ca.issuing);
    await writeFile(at('root.pem'), roots);
    const yesterday = Date.now() - 3_600_000;
    const clientUse = ['1.3.6.1.5.5.7.3.2'];
    const credentials = {
      'stranger.example': ca.serverCredentials('stranger.example'),
      localhost: ca.serverCredentials('localhost'),
      known: ca.credentials('ec', 'ra', clientUse),
      expired: ca.credentials('ec', 'ra', clientUse, ['ra'], yesterday),
      unknown: new DoubleCa().credentials('ec', 'ra', clientUse),
    };
    for (const [name, { certificatePem, keyPem }] of Object.entries(credentials)) {
      await writeFile(at(`${name}.pem`), certificatePem);
      await writeFile(at(`${name}.key`), keyPem);
    }
    port = await freePort();
    strictPort = await freePort();
    const dead = await freePort();
    const cut = (cutting.address() as AddressInfo).port;
    await writeFile(at('nginx.conf'), configuration({ port, strictPort, dead, cut, upstream }));
    process = await startProcess(
      nginx,
      ['-p', directory.path, '-c', 'nginx.conf', '-e', 'stderr'],
      {
        ports: [port, strictPort],
        directory: directory.path,
      },
    );
    opensslPort = await freePort();
    const server = ['s_server', '-accept', `127.0.0.1:${opensslPort}`, '-www', '-quiet'];
    const shown = ['-cert', 'localhost.pem', '-key', 'localhost.key', '-cert_chain', 'root.pem'];
    const verified = ['-Verify', '2', '-verify_return_error', '-CAfile', 'root.pem'];
    openssl13 = await startProcess(openssl, [...server, ...shown, ...verified], {
      ports: [opensslPort],
      directory: directory.path,
    });
  });
  afterAll(async () => {
    await process[Symbol.asyncDispose]();
    await openssl13[Symbol.asyncDispose]();
    cutting.close();
    await upstream[Symbol.asyncDispose]();
    await directory[Symbol.asyncDispose]();
  });

  async function connect(options: object, client?: string) {
    const files =
      client === undefined ? {} : { certFile: `${client}.pem`, keyFile: `${client}.key` };
    const tls = { caFile: 'root.pem', ...files };
    const context = connectContext(directory.path, { env: { SECRET: 'secret' } });
    const account = { username: 'ra', password: { env: 'SECRET' } };
    // The EST server behind it is our double: nothing here proves that kind.
    const { default: est } = await adapters.est();
    return est.connect(est.options.parse({ ...account, tls, ...options }), context, never);
  }

  async function post(url: string, tls: AdapterTls = {}) {
    await using http = adapterHttp({ clock: systemClock, tls: { caFile: at('root.pem'), ...tls } });
    return await http.request({ method: 'POST', url, body: 'order' }, never);
  }

  it('a CA is reached by its name among several', async () => {
    await using ca = await connect({ url: `https://localhost:${port}` });
    await ca.check(never);
    expect((await ca.issue(sampleOrder(), never)).kind).toBe('issued');
  });

  it.each([
    ['none', undefined, 'No required SSL certificate was sent'],
    ['an expired one', 'expired', 'The SSL certificate error'],
    ['one of another CA', 'unknown', 'The SSL certificate error'],
  ])(
    'an order is not refused where it wants a client certificate and sees %s',
    async (_, client, words) => {
      await using ca = await connect({ url: `https://localhost:${strictPort}` }, client);
      await expect(ca.issue(sampleOrder(), never)).rejects.toMatchObject({
        code: 'ca-misconfigured',
        unanswered: false,
        message: expect.stringMatching(
          new RegExp(`answered 400: .*${words}.*server: nginx.*tls\\.certFile`),
        ),
      });
      await using known = await connect({ url: `https://localhost:${strictPort}` }, 'known');
      await known.check(never);
    },
  );

  it.each([
    ['a page with 400', '400', 'ca-misconfigured'],
    ['a page with 413', '413', 'ca-misconfigured'],
    ['a page with 502', '502', 'ca-unavailable'],
    ['half of an answer', 'cut', 'ca-bad-answer'],
  ])('an order is unanswered where it sends %s', async (_, path, code) => {
    const url = `https://localhost:${port}/${path}/.well-known/est`;
    await using ca = await connect({ url });
    await expect(ca.issue(sampleOrder(), never)).rejects.toMatchObject({ code });
    const error: unknown = await ca.issue(sampleOrder(), never).catch((reason: unknown) => reason);
    expect(error).not.toMatchObject({ unanswered: false });
  });

  it('no order is lost to a connection that it ends without having said so', async () => {
    await using http = adapterHttp({ clock: systemClock, tls: { caFile: at('root.pem') } });
    for (let turn = 0; turn < 60; turn++) {
      const url = `https://localhost:${port}/short/`;
      for (const method of ['POST', 'GET'] as const) {
        expect((await http.request({ method, url }, never)).status).toBe(200);
      }
      await sleepFor(turn % 8);
    }
  });

  it('nothing comes compressed that we did not ask for', async () => {
    const { headers, body } = await post(`https://localhost:${port}/compressed/`);
    expect(headers['content-encoding']).toBeUndefined();
    expect(body.toString()).toContain('plain words');
  });

  it.each([
    ['none', undefined, 'Set tls.certFile and tls.keyFile'],
    ['an expired one', 'expired', 'has expired. Renew it'],
    ['one of another CA', 'unknown', 'does not trust the issuer of our client certificate'],
  ])(
    'TLS 1.3 says behind the handshake that our certificate is wrong: %s',
    async (_, client, words) => {
      const tls = client && { certFile: at(`${client}.pem`), keyFile: at(`${client}.key`) };
      await expect(post(`https://localhost:${opensslPort}/`, tls || {})).rejects.toMatchObject({
        code: 'ca-misconfigured',
        unanswered: false,
        message: expect.stringContaining(words),
      });
    },
  );
});

interface Ports {
  readonly port: number;
  readonly strictPort: number;
  readonly dead: number;
  readonly cut: number;
  readonly upstream: EstServer;
}

function configuration({ port, strictPort, dead, cut, upstream }: Ports): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const cacerts = (path: string) =>
    `location = /${path}/.well-known/est/cacerts { proxy_pass ${upstream.url}/.well-known/est/cacerts; }`;
  const order = (path: string) => `location = /${path}/.well-known/est/simpleenroll`;
  return `
    daemon off; master_process off; pid nginx.pid;
    events {}
    http {
      access_log off;
      ${temporary.map((name) => `${name}_temp_path ${name};`).join(' ')}
      server {
        listen 127.0.0.1:${port} ssl default_server;
        server_name stranger.example;
        ssl_certificate stranger.example.pem; ssl_certificate_key stranger.example.key;
        return 421;
      }
      server {
        listen 127.0.0.1:${port} ssl;
        server_name localhost;
        ssl_certificate localhost.pem; ssl_certificate_key localhost.key;
        location / { proxy_pass ${upstream.url}; }
        ${['400', '413', '502', 'cut'].map(cacerts).join('\n')}
        ${order('400')} { return 400; }
        ${order('413')} { client_max_body_size 1; proxy_pass ${upstream.url}; }
        ${order('502')} { proxy_pass http://127.0.0.1:${dead}; }
        ${order('cut')} { proxy_pass http://127.0.0.1:${cut}; }
        location /short/ { keepalive_timeout 4ms; return 200 "ok"; }
        location /compressed/ { gzip on; gzip_min_length 1; gzip_types text/plain; default_type text/plain; return 200 "plain words plain words plain words"; }
      }
      server {
        listen 127.0.0.1:${strictPort} ssl;
        server_name localhost;
        ssl_certificate localhost.pem; ssl_certificate_key localhost.key;
        ssl_verify_client on; ssl_client_certificate root.pem; ssl_verify_depth 2;
        location / { proxy_pass ${upstream.url}; }
      }
    }
  `;
}
