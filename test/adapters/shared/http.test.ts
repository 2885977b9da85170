import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { adapterHttp, retryAfterOf } from '../../../adapters/shared/http.ts';
import { systemClock } from '../../../src/time/clock.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { SigningCa } from '../../support/signing-ca.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { startTunnelProxy } from '../doubles/named-tls-server.ts';
import { ScriptedHttpServer } from '../doubles/scripted-http-server.ts';

const never = new AbortController().signal;
const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

describe('retryAfterOf', () => {
  const now = Date.parse('2026-11-21T12:00:00Z');
  it.each([
    [{ 'retry-after': '120' }, 120_000],
    [{ 'retry-after': 'Sat, 21 Nov 2026 12:00:30 GMT' }, 30_000],
    [{ 'retry-after': 'Sat, 21 Nov 2026 11:00:00 GMT' }, 0],
    // Its own clock counts, however wrong.
    [
      {
        date: 'Sat, 21 Nov 2020 11:00:00 GMT',
        'retry-after': 'Sat, 21 Nov 2020 11:00:40 GMT',
      },
      40_000,
    ],
    [{ 'retry-after': '86400' }, 86_400_000],
    [{ 'retry-after': '999999999' }, undefined],
    [{ 'retry-after': '99999999999999999999' }, undefined],
    [{ 'retry-after': 'Sat, 21 Nov 2099 12:00:00 GMT' }, undefined],
    [{ 'retry-after': '-1' }, undefined],
    [{ 'retry-after': 'soon' }, undefined],
    [{}, undefined],
  ])('reads %j', (headers, expected) => {
    expect(retryAfterOf(headers, now)).toBe(expected);
  });
});

describe('adapterHttp', () => {
  it('hands on whatever a server answers, and does not follow it elsewhere', async () => {
    await using server = await ScriptedHttpServer.start(() => ({
      status: 302,
      headers: { location: '/elsewhere' },
      body: 'Käse',
    }));
    await using http = adapterHttp({ clock: systemClock });
    const answer = await http.request({ method: 'GET', url: server.origin }, never);
    expect(answer.status).toBe(302);
    expect(answer.headers['location']).toBe('/elsewhere');
    expect(answer.body.toString()).toBe('Käse');
    expect(server.received).toHaveLength(1);
  });

  it('gives up at its own deadline', async () => {
    await using server = await ScriptedHttpServer.start(() => ({ status: 200 }));
    server.misbehave('hang');
    const clock = new ManualClock();
    await using http = adapterHttp({ clock, deadlineMs: 30_000 });
    const call = http.request({ method: 'GET', url: server.origin }, never);
    const rejected = expect(call).rejects.toMatchObject({
      code: 'ca-unavailable',
      message: `${server.origin} did not answer: No answer within 30 seconds.`,
    });
    await server.reached();
    clock.advance(30_000);
    await rejected;
  });

  it.each([
    ['a whole MiB', 0, true],
    ['a byte more', 1, false],
  ])('is asked to read an answer of %s', async (_, extra, isRead) => {
    const body = 'x'.repeat(1024 * 1024 + extra);
    await using server = await ScriptedHttpServer.start(() => ({ status: 200, body }));
    await using http = adapterHttp({ clock: systemClock });
    const call = http.request({ method: 'GET', url: server.origin }, never);
    if (isRead) expect((await call).body).toHaveLength(body.length);
    else await expect(call).rejects.toMatchObject({ code: 'ca-bad-answer' });
  });

  it('names the file that cannot be read', () => {
    const tls = { caFile: '/nowhere/ca.pem' };
    expect(() => adapterHttp({ tls, clock: systemClock })).toThrow(
      'The file /nowhere/ca.pem cannot be read (ENOENT)',
    );
  });
});

describe('a client certificate', () => {
  const { certificate, key } = new SigningCa('HTTP test').clientCertificate();
  const other = new SigningCa('HTTP test').clientCertificate();

  it.each([
    ['no PEM', 'nothing', key],
    ['with another key', certificate, other.key],
    ['without its key', certificate, undefined],
  ])('is refused at the start when it is %s', async (_, certText, keyText) => {
    await using directory = await temporaryDirectory();
    const [certFile, keyFile] = [join(directory.path, 'c.pem'), join(directory.path, 'k.pem')];
    writeFileSync(certFile, certText);
    writeFileSync(keyFile, keyText ?? '');
    const tls = { certFile, keyFile: keyText === undefined ? undefined : keyFile };
    expect(() => adapterHttp({ tls, clock: systemClock })).toThrow(
      expect.objectContaining({ code: 'ca-misconfigured' }),
    );
  });
});

describe.skipIf(!hasOpenssl)(
  `TLS (${hasOpenssl ? 'openssl makes the keys' : 'no openssl'})`,
  () => {
    async function withServer(
      work: (
        origin: string,
        files: { caFile: string; certFile: string; keyFile: string },
      ) => Promise<void>,
    ): Promise<void> {
      await using directory = await temporaryDirectory();
      const at = (name: string) => join(directory.path, name);
      for (const name of ['server', 'client']) {
        const file = ['-keyout', at(`${name}.key`), '-out', at(`${name}.pem`)];
        const what = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
        const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc'];
        execFileSync('openssl', ['req', '-x509', ...kind, ...file, ...what], { stdio: 'ignore' });
      }
      const read = (name: string) => readFileSync(at(name));
      await using server = await ScriptedHttpServer.start(
        // An address is no name (RFC 6066 3).
        ({ clientCertificate, serverName }) => ({
          status: clientCertificate === undefined ? 401 : serverName === false ? 200 : 421,
        }),
        {
          key: read('server.key'),
          cert: read('server.pem'),
          ca: read('client.pem'),
          requestCert: true,
          rejectUnauthorized: false,
        },
      );
      await work(server.origin, {
        caFile: at('server.pem'),
        certFile: at('client.pem'),
        keyFile: at('client.key'),
      });
    }

    it('trusts the CAs that it is told to, and shows its certificate', async () => {
      await withServer(async (url, tls) => {
        await using http = adapterHttp({ tls, clock: systemClock });
        expect(await http.request({ method: 'GET', url }, never)).toMatchObject({ status: 200 });
      });
    });

    it('takes its files as Windows and editors write them', async () => {
      await withServer(async (url, { caFile, certFile, keyFile }) => {
        const { raw } = new X509Certificate(readFileSync(caFile));
        writeFileSync(`${caFile}.cer`, raw);
        writeFileSync(`${certFile}.bom`, `\uFEFF${readFileSync(certFile)}`);
        writeFileSync(keyFile, readFileSync(keyFile, 'utf8').replaceAll('\n', '\\n'));
        const tls = { caFile: `${caFile}.cer`, certFile: `${certFile}.bom`, keyFile };
        await using http = adapterHttp({ tls, clock: systemClock });
        expect(await http.request({ method: 'GET', url }, never)).toMatchObject({ status: 200 });
      });
    });

    it('does both through a proxy too, which sees nothing of it', async () => {
      await withServer(async (url, tls) => {
        await using proxy = await startTunnelProxy();
        await using http = adapterHttp({ tls, proxy: proxy.url, clock: systemClock });
        expect(await http.request({ method: 'GET', url }, never)).toMatchObject({ status: 200 });
        expect(proxy.asked).toEqual([new URL(url).host]);
      });
    });

    it('shows none when it has none', async () => {
      await withServer(async (url, { caFile }) => {
        await using http = adapterHttp({ tls: { caFile }, clock: systemClock });
        expect(await http.request({ method: 'GET', url }, never)).toMatchObject({ status: 401 });
      });
    });

    it('sends nothing to a server that it does not trust, and says what mends it', async () => {
      await withServer(async (url) => {
        await using http = adapterHttp({ clock: systemClock });
        await expect(http.request({ method: 'GET', url }, never)).rejects.toMatchObject({
          code: 'ca-misconfigured',
          message: expect.stringContaining('Put the CA that issued it in tls.caFile'),
        });
      });
    });
  },
);
