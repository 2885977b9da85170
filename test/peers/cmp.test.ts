import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import cmp from '../../adapters/cmp/cmp.ts';
import { DeviceKey } from '../../conformance/device-key.ts';
import { checkCertificate } from '../../src/deliver/check-certificate.ts';
import type { CertificateAuthority, Collected } from '../../src/plug-in/certificate-authority.ts';
import type { KeyType } from '../../src/request/requested-certificate.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { cmpHarness } from '../adapters/cmp-harness.ts';
import type { CmpWord } from '../adapters/doubles/cmp-server.ts';
import { DoubleCa } from '../adapters/doubles/est-cmp-ca.ts';
import { collectFrom } from '../support/collect-from.ts';
import { connectContext } from '../support/connect-context.ts';
import { requirePeer } from '../support/peer.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { type CmpMock, hasCmpMock, howToGetCmpMock, startCmpMock } from './cmp-mock.ts';

const there = await requirePeer('OpenSSL’s CMP mock server', hasCmpMock, howToGetCmpMock);

const run = promisify(execFile);
const never = new AbortController().signal;
const secret = 'correct horse battery staple';
const wanted = {
  subject: [[{ type: '2.5.4.3', value: 'device.example.org' }]],
  subjectAltNames: [{ type: 'dns', value: 'device.example.org' }],
  keyUsages: ['digitalSignature'],
  extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'],
  validityDays: 90,
} as const;

describe.skipIf(!there)('cmp against OpenSSL’s mock server', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let ca: DoubleCa;
  const open: AsyncDisposable[] = [];

  beforeEach(async () => {
    directory = await temporaryDirectory();
    ca = new DoubleCa();
    const ra = ca.credentials('rsa', 'ra.example.org', ['1.3.6.1.5.5.7.3.28']);
    await write('root.pem', encodePem('CERTIFICATE', ca.root));
    await write('issuing.pem', encodePem('CERTIFICATE', ca.issuing));
    await write('issuing.key', ca.signer.key.export({ type: 'pkcs8', format: 'pem' }).toString());
    await write('ra.pem', ra.certificatePem);
    await write('ra.key', ra.keyPem);
  });
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]();
    await directory[Symbol.asyncDispose]();
  });

  const write = (name: string, text: string) =>
    writeFile(join(directory.path, name), text, { mode: 0o600 });

  const protections = {
    secret: {
      server: ['-srv_ref', 'ra-7', '-srv_secret', `pass:${secret}`],
      client: { reference: 'ra-7', secret: { env: 'CMP_SECRET' } },
    },
    signatures: {
      server: ['-srv_cert', 'issuing.pem', '-srv_key', 'issuing.key', '-srv_trusted', 'root.pem'],
      client: {
        signerCertFile: 'ra.pem',
        signerKeyFile: 'ra.key',
        responderRoots: 'root.pem',
      },
    },
  } as const;

  /** The mock server returns a fixed certificate, so the one for this very key is signed first. */
  async function start(
    protection: keyof typeof protections,
    { keyType = 'ec', flags = [] }: { keyType?: KeyType; flags?: readonly string[] } = {},
  ) {
    const key = new DeviceKey(keyType);
    const csr = key.request(wanted);
    const leaf = ca.certify(csr);
    await write('leaf.pem', encodePem('CERTIFICATE', leaf));
    const { server, client } = protections[protection];
    const fixed = ['-rsp_cert', 'leaf.pem', '-rsp_extracerts', 'issuing.pem'];
    const mock = await startCmpMock(directory.path, [...server, ...fixed, ...flags]);
    open.push(mock);
    const order = {
      requestId: randomBytes(16).toString('hex'),
      processId: 'process-1',
      keyType,
      subjectPublicKeyInfo: key.subjectPublicKeyInfo,
      subject: { kind: 'device', serialNumber: '5CD1234' },
      wanted,
      csr,
    } as const;
    const authority = await connect(mock, client);
    return { mock, order, leaf, authority, connect: () => connect(mock, client) };
  }

  async function connect(mock: CmpMock, options: object): Promise<CertificateAuthority> {
    const context = connectContext(directory.path, {
      env: { CMP_SECRET: secret, CMP_OTHER: 'another secret' },
    });
    const given = cmp.options.parse({ url: mock.url, check: 'genm', ...options });
    const authority = await cmp.connect(given, context, never);
    open.push(authority);
    return authority;
  }

  function expectCertificate(answer: Collected, { order }: Awaited<ReturnType<typeof start>>) {
    if (answer.kind !== 'issued') throw new Error(`the order is ${answer.kind}`);
    checkCertificate({
      certificate: answer.certificate,
      chain: answer.chain,
      subjectPublicKeyInfo: order.subjectPublicKeyInfo,
      wanted,
      roots: [ca.root],
      mayDrop: [],
      now: Date.now(),
    });
  }

  describe.each(['secret', 'signatures'] as const)('protected by %s', (protection) => {
    it.each(['rsa', 'ec'] as const)('gives a certificate (%s), confirmed', async (keyType) => {
      const peer = await start(protection, { keyType });
      expectCertificate(await peer.authority.issue(peer.order, never), peer);
    });

    it('gives a certificate with implicit confirmation', async () => {
      const peer = await start(protection, { flags: ['-grant_implicitconf'] });
      expectCertificate(await peer.authority.issue(peer.order, never), peer);
    });

    it('makes us wait, and then gives the certificate to another instance', async () => {
      const peer = await start(protection, { flags: ['-poll_count', '2', '-check_after', '7'] });
      let answer: Collected = await peer.authority.issue(peer.order, never);
      const pauses: number[] = [];
      while (answer.kind === 'pending') {
        pauses.push(answer.pollAfterMs);
        const ticket = JSON.parse(JSON.stringify(answer.ticket));
        answer = await collectFrom(await peer.connect(), ticket, peer.order, never);
      }
      // The second poll is answered with the certificate.
      expect(pauses).toEqual([30_000, 7_000]);
      expectCertificate(answer, peer);
    });

    it('answers both kinds of check', async () => {
      const { authority, mock } = await start(protection);
      await authority.check(never);
      await (await connect(mock, { ...protections[protection].client, check: 'probe' })).check(
        never,
      );
    });

    it.each([
      ['in a certificate response', [], 'not this name'],
      // This server gives its own words there.
      ['in an error message', ['-send_error'], 'error processing message'],
    ])('rejects %s', async (_, flags, text) => {
      const refusal = ['-pkistatus', '2', '-failure', '19', '-statusstring', 'not this name'];
      const peer = await start(protection, { flags: [...refusal, ...flags] });
      const answer = await peer.authority.issue(peer.order, never);
      expect(answer).toMatchObject({
        kind: 'rejected',
        reason: expect.stringContaining(text),
      });
    });

    it('is unavailable for a while', async () => {
      const peer = await start(protection, { flags: ['-pkistatus', '2', '-failure', '24'] });
      await expect(peer.authority.issue(peer.order, never)).rejects.toMatchObject({
        code: 'ca-unavailable',
      });
    });

    it('revokes', async () => {
      const peer = await start(protection);
      await peer.authority.revoke?.(peer.leaf, 'superseded', never);
    });

    it('is not believed when it does not protect its answers', async () => {
      const peer = await start(protection, { flags: ['-send_unprotected'] });
      await expect(peer.authority.issue(peer.order, never)).rejects.toMatchObject({
        code: 'ca-bad-answer',
      });
    });
  });

  it('that has another secret is misconfigured', async () => {
    const { mock, order } = await start('secret');
    const other = await connect(mock, { reference: 'ra-7', secret: { env: 'CMP_OTHER' } });
    await expect(other.issue(order, never)).rejects.toSatisfy((error: { code: string }) =>
      ['ca-misconfigured', 'ca-bad-answer'].includes(error.code),
    );
  });
});

describe.skipIf(!there)('our CMP double', () => {
  it.each<[CmpWord, readonly string[], readonly number[]]>([
    ['pend', [], [4, 25, 25, 24]],
    ['grant-implicit', ['-implicit_confirm'], [4]],
  ])('is understood by OpenSSL’s client (%s)', async (word, flags, requests) => {
    await using harness = await cmpHarness({});
    await using directory = await temporaryDirectory();
    const csr = new DeviceKey('ec').request(wanted);
    await writeFile(join(directory.path, 'csr.pem'), encodePem('CERTIFICATE REQUEST', csr));
    harness.server.script.push(word);
    const { host, pathname } = new URL(harness.server.url);
    const mac = ['-digest', 'sha256', '-mac', 'hmacWithSHA256'];
    const credentials = ['-ref', 'ra-7', '-secret', 'pass:correct horse battery staple', ...mac];
    const files = ['-csr', 'csr.pem', '-certout', 'leaf.pem'];
    const where = ['-server', host, '-path', pathname.slice(1), '-recipient', '/CN=CA'];
    await run('openssl', ['cmp', '-cmd', 'p10cr', ...where, ...files, ...credentials, ...flags], {
      cwd: directory.path,
    });
    expect(harness.server.refusals).toEqual([]);
    expect(harness.server.requests).toEqual(requests);
  });
});
