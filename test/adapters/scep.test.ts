import { createHash, webcrypto } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { chooseCertificates } from '../../adapters/scep/ca-certificates.ts';
import scep from '../../adapters/scep/scep.ts';
import { newOrder } from '../../conformance/order.ts';
import { checkCertificate } from '../../src/deliver/check-certificate.ts';
import { mayHaveIssued, ProvisioningError } from '../../src/errors.ts';
import type {
  CertificateAuthority,
  Collected,
  Issuance,
} from '../../src/plug-in/certificate-authority.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { extendedKeyUsageExtension, keyUsageExtension } from '../../src/x509/extensions.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { extendedKeyUsageOids } from '../../src/x509/usages.ts';
import { collectFrom } from '../support/collect-from.ts';
import { connectContext } from '../support/connect-context.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { dayMs, makeCa, now, x509 } from '../support/test-certificates.ts';
import { describeAdapter } from './contract.ts';
import { type Identity, scepPki } from './doubles/scep-pki.ts';
import { type Move, ScepDouble, type ScepDoubleOptions } from './doubles/scep-server.ts';
import { scepHarness } from './scep-harness.ts';

describeAdapter('scep', scepHarness);

const never = new AbortController().signal;

/** The server's new certificate, with another key. */
function renewed(server: ScepDouble): Identity {
  return server.pki.another([
    extendedKeyUsageExtension([extendedKeyUsageOids.certificateRequestAgent]),
  ]);
}

const { smartcardLogon } = extendedKeyUsageOids;
const challenge = 'Käse & Brot';

describe('a CA behind SCEP', () => {
  let open: AsyncDisposable[];
  beforeEach(() => {
    open = [];
  });
  afterEach(async () => {
    for (const one of open.reverse()) await one[Symbol.asyncDispose]();
  });

  async function start(options: ScepDoubleOptions = {}): Promise<ScepDouble> {
    const server = await ScepDouble.start(options);
    open.push(server);
    return server;
  }

  async function connect(
    server: ScepDouble,
    options: object = {},
    clock?: ManualClock,
  ): Promise<CertificateAuthority> {
    const env = { CHALLENGE: challenge, RA_KEY: pem(scepPki().tls), OTHER_KEY: pem(scepPki().ca) };
    const given = { url: server.url, caFingerprints: [server.fingerprint], ...options };
    const context = connectContext('/', clock === undefined ? { env } : { env, clock });
    const authority = await scep.connect(scep.options.parse(given), context, never);
    open.push(authority);
    return authority;
  }

  async function issueFrom(authority: CertificateAuthority): Promise<Issuance> {
    return authority.issue(await orderFrom(authority), never);
  }

  const aes128 = '2.16.840.1.101.3.4.1.2';
  const aes256 = '2.16.840.1.101.3.4.1.42';
  const aes128Gcm = '2.16.840.1.101.3.4.1.6';
  const aes256Gcm = '2.16.840.1.101.3.4.1.46';
  const tripleDes = '1.2.840.113549.3.7';
  const des = '1.3.14.3.2.7';
  const sha1 = '1.3.14.3.2.26';
  const sha256 = '2.16.840.1.101.3.4.2.1';
  const sha512 = '2.16.840.1.101.3.4.2.3';

  it.each([
    ['SCEPStandard\n', 'POST', aes128, sha256],
    ['scepstandard', 'POST', aes128, sha256],
    ['POSTPKIOperation\r\nAES\r\nSHA-256\r\n', 'POST', aes128, sha256],
    ['DES3\nSHA-1\nSHA-512\nRenewal', 'GET', tripleDes, sha512],
    ['DES3\rSHA-1\rPOSTPKIOperation', 'POST', tripleDes, sha1],
    ['', 'GET', tripleDes, sha1],
    [404, 'GET', tripleDes, sha1],
  ])('does as the capabilities %j allow', async (capabilities, method, cipher, digest) => {
    const server = await start({ capabilities });
    expect(await issueFrom(await connect(server))).toMatchObject({ kind: 'issued' });
    expect(server.seen).toMatchObject([{ method, cipher, digest }]);
    expect(server.complaints).toEqual([]);
  });

  it('sends by GET what a server does not take by POST', async () => {
    const server = await start({ refuses: 'POST' });
    expect(await issueFrom(await connect(server))).toMatchObject({ kind: 'issued' });
    expect(server.seen).toMatchObject([{ method: 'GET' }]);
  });

  it.each([
    ['DES', des],
    ['triple DES', tripleDes],
    ['AES-128', aes128],
    ['AES-256', aes256],
    ['AES-128-GCM, as step-ca writes it', `${aes128Gcm} in EnvelopedData`],
    ['AES-256-GCM in AuthEnvelopedData (RFC 5083)', aes256Gcm],
  ])('reads a reply in %s', async (_name, replyCipher) => {
    const server = await start({ replyCipher });
    expect(await issueFrom(await connect(server))).toMatchObject({ kind: 'issued' });
  });

  it('takes the one certificate of a CA without an RA for everything', async () => {
    const server = await start({ single: true });
    expect(await issueFrom(await connect(server))).toMatchObject({ kind: 'issued' });
  });

  it('signs with its own RA certificate where there is one, and keeps no key then', async () => {
    const home = await temporaryDirectory();
    open.push(home);
    const certificateFile = join(home.path, 'ra.pem');
    const { tls } = scepPki();
    await writeFile(certificateFile, encodePem('CERTIFICATE', tls.certificate));
    const server = await start();
    const authority = await connect(server, { ra: { certificateFile, key: { env: 'RA_KEY' } } });
    const order = await orderFrom(authority);
    expect(order.prepared).toEqual({});
    expect(await authority.issue(order, never)).toMatchObject({ kind: 'issued' });
    const [message] = server.seen;
    if (message === undefined) throw new Error('no message came');
    expect(Buffer.from(message.signer.toSchema().toBER())).toEqual(Buffer.from(tls.certificate));
    const wrong = { ra: { certificateFile, key: { env: 'OTHER_KEY' } } };
    await expect(connect(server, wrong)).rejects.toThrow('does not belong to the certificate');
  });

  it('puts the challenge into the CSR, whatever its characters, and nowhere else', async () => {
    const server = await start({ challenge });
    const authority = await connect(server, { challenge: { env: 'CHALLENGE' } });
    expect(await issueFrom(authority)).toMatchObject({ kind: 'issued' });
    server.script.push({ fail: '2', text: `No ${challenge}, please.\u0007` });
    expect(await issueFrom(authority)).toEqual({
      kind: 'rejected',
      reason: 'badRequest: No [secret], please.',
    });
  });

  it('names the order by its requestId, and asks after it less and less often', async () => {
    const server = await start();
    server.script.push('pend', 'pend', 'pend');
    const authority = await connect(server, { pollSeconds: 600 });
    const order = await orderFrom(authority);
    let answer: Collected = await authority.issue(order, never);
    const pauses: number[] = [];
    while (answer.kind === 'pending') {
      pauses.push(answer.pollAfterMs / 1_000);
      answer = await collectFrom(authority, answer.ticket, order, never);
    }
    expect(answer.kind).toBe('issued');
    expect(pauses).toEqual([600, 1200, 1800]);
    const types = server.seen.map(({ messageType }) => messageType);
    expect(types).toEqual(['19', '20', '20', '20']);
    const ids = new Set(server.seen.map(({ transactionId }) => transactionId));
    expect([...ids]).toEqual([order.requestId]);
    expect(server.complaints).toEqual([]);
  });

  it('finds the certificate of an order that it repeats after a crash', async () => {
    const server = await start();
    const authority = await connect(server);
    const order = await orderFrom(authority);
    expect(await authority.issue(order, never)).toMatchObject({ kind: 'issued' });
    server.script.push({ fail: '2', text: 'the challenge is used up' });
    expect(await authority.issue(order, never)).toMatchObject({ kind: 'issued' });
    server.script.push({ fail: '2', text: 'the challenge is used up' }, { http: 500 });
    expect(await authority.issue(order, never)).toMatchObject({ kind: 'rejected' });
  });

  it('refuses a ticket that no SCEP server gave', async () => {
    const authority = await connect(await start());
    const order = await orderFrom(authority);
    for (const ticket of [null, 'a ticket', [], {}, { polls: 'many' }, { polls: 1 }]) {
      await expect(collectFrom(authority, ticket, order, never)).rejects.toMatchObject({
        code: 'ca-misconfigured',
      });
    }
  });

  it('hands on a certificate for another key, which the check behind it refuses', async () => {
    const server = await start();
    server.script.push('other key');
    const authority = await connect(server);
    const order = await orderFrom(authority);
    const answer = await authority.issue(order, never);
    if (answer.kind !== 'issued') throw new Error(answer.kind);
    const check = () =>
      checkCertificate({ ...answer, ...order, roots: [], mayDrop: [], now: Date.now() });
    expect(check).toThrow(expect.objectContaining({ code: 'certificate-wrong-key' }));
  });

  it('asks for the server’s certificates again when it cannot read our message any more', async () => {
    const server = await start();
    const authority = await connect(server);
    await issueFrom(authority);
    server.encryption = renewed(server);
    expect(await issueFrom(authority)).toMatchObject({ kind: 'issued' });
    expect(server.seen).toHaveLength(3);
  });

  it('reads a reply again with the server’s newest certificates, without a second order', async () => {
    const server = await start();
    const authority = await connect(server);
    await issueFrom(authority);
    server.signature = renewed(server);
    expect(await issueFrom(authority)).toMatchObject({ kind: 'issued' });
    expect(server.seen).toHaveLength(2);
  });

  it('asks for certificates and capabilities once an hour', async () => {
    const server = await start();
    const clock = new ManualClock(Date.now());
    const authority = await connect(server, {}, clock);
    await issueFrom(authority);
    await issueFrom(authority);
    const asked = () => server.operations.filter((one) => one === 'GetCACert').length;
    expect(asked()).toBe(1);
    clock.advance(3_600_000);
    await issueFrom(authority);
    expect(asked()).toBe(2);
  });

  it('believes nobody but the pinned CA', async () => {
    const server = await start();
    const caFingerprints = ['00'.repeat(32)];
    const authority = await connect(server, { caFingerprints });
    await expect(authority.check(never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringContaining(server.fingerprint.replaceAll(':', '').toLowerCase()),
    });
    // A certificate that somebody put among the CA's own is not encrypted to.
    const mixed = await start();
    mixed.encryption = mixed.pki.stranger;
    const careful = await connect(mixed);
    await expect(issueFrom(careful)).rejects.toMatchObject({ code: 'ca-misconfigured' });
  });

  it('sends the challenge to nobody’s certificate that was put in first: a device’s, below the pinned CA', async () => {
    const server = await start();
    const both = keyUsageExtension(['digitalSignature', 'keyEncipherment']);
    for (const usages of [
      ['clientAuth'],
      ['certificateRequestAgent', 'clientAuth'],
      ['serverAuth'],
      [],
    ] as const) {
      const extended = usages.map((name) => extendedKeyUsageOids[name]);
      const extension = extended.length === 0 ? [] : [extendedKeyUsageExtension(extended)];
      server.inserted = [server.pki.another([both, ...extension])];
      expect(await issueFrom(await connect(server))).toMatchObject({ kind: 'issued' });
    }
    expect(server.complaints).toEqual([]);
    // Nor does it sign for the server.
    server.signature = server.inserted[0] ?? server.signature;
    await expect(issueFrom(await connect(server))).rejects.toMatchObject({
      code: 'ca-bad-answer',
      message: expect.stringContaining('not that of a certificate from GetCACert'),
    });
  });

  it('sends nothing to one that is not marked, alone with its CA, and says what to pin', async () => {
    const server = await start();
    const device = server.pki.another([
      extendedKeyUsageExtension([extendedKeyUsageOids.clientAuth]),
    ]);
    server.encryption = device;
    server.signature = device;
    const found = createHash('sha256').update(device.certificate).digest('hex');
    await expect(issueFrom(await connect(server))).rejects.toMatchObject({
      code: 'ca-misconfigured',
      unanswered: false,
      message: expect.stringMatching(`“CN=another” ${found}.*raFingerprints`),
    });
    expect(server.seen).toEqual([]);
    const pinned = { raFingerprints: [found] };
    expect(await issueFrom(await connect(server, pinned))).toMatchObject({ kind: 'issued' });
    const renewedSince = { raFingerprints: ['00'.repeat(32)] };
    await expect(issueFrom(await connect(server, renewedSince))).rejects.toThrow(found);
  });

  it('believes TLS where there is no fingerprint', async () => {
    const home = await temporaryDirectory();
    open.push(home);
    const caFile = join(home.path, 'ca.pem');
    await writeFile(caFile, encodePem('CERTIFICATE', scepPki().ca.certificate));
    const server = await start({ secure: true });
    const trusting = await connect(server, { caFingerprints: [], tls: { caFile } });
    expect(await issueFrom(trusting)).toMatchObject({ kind: 'issued' });
    const ignorant = await connect(server, { caFingerprints: [] });
    await expect(ignorant.check(never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringContaining('in tls.caFile'),
    });
  });

  it('goes through a proxy', async () => {
    const asked: string[] = [];
    const proxy = createServer((request, response) => {
      asked.push(request.url ?? '');
      const { method, headers } = request;
      const onward = send(request.url ?? '', { method, headers, agent: false }, (answer) => {
        response.writeHead(answer.statusCode ?? 502);
        answer.pipe(response);
      });
      request.pipe(onward);
    }).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const { port } = proxy.address() as AddressInfo;
    const server = await start();
    const authority = await connect(server, { proxy: `http://127.0.0.1:${port}` });
    expect(await issueFrom(authority)).toMatchObject({ kind: 'issued' });
    expect(asked).toEqual(Array(3).fill(expect.stringMatching(`^${server.url}\\?operation=`)));
    await authority[Symbol.asyncDispose]();
    proxy.close();
  });

  it('is not available when nobody listens', async () => {
    const server = await start();
    const authority = await connect(server);
    await server[Symbol.asyncDispose]();
    await expect(authority.check(never)).rejects.toMatchObject({ code: 'ca-unavailable' });
  });

  it.each([
    ['http without a fingerprint', { url: 'http://ca/scep' }, 'caFingerprints'],
    ['a short fingerprint', { url: 'https://ca/scep', caFingerprints: ['AB:CD'] }, 'SHA-256'],
    [
      'two ways to a challenge',
      {
        url: 'https://ca/scep',
        challenge: { env: 'A' },
        ndes: { url: 'https://ca/', username: 'a', password: { env: 'B' } },
      },
      'exclude each other',
    ],
    [
      'a password over plain http',
      {
        url: 'https://ca/scep',
        ndes: { url: 'http://ca/', username: 'a', password: { env: 'B' } },
      },
      'url',
    ],
    ['another scheme', { url: 'ftp://ca/scep' }, 'url'],
  ])('refuses options with %s', (_what, given, words) => {
    const { error } = scep.options.safeParse(given);
    expect(JSON.stringify(error?.issues)).toContain(words);
  });
});

async function orderFrom(authority: CertificateAuthority) {
  return newOrder({ authority, harness: {} }, 'ec');
}

describe('what a SCEP server replies', () => {
  let server: ScepDouble;
  let authority: CertificateAuthority;
  beforeAll(async () => {
    server = await ScepDouble.start();
    const given = { url: server.url, caFingerprints: [server.fingerprint] };
    authority = await scep.connect(scep.options.parse(given), connectContext('/'), never);
  });
  afterAll(async () => {
    await authority[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  it.each<[string, Move, string]>([
    ['wrong nonce', 'wrong nonce', 'does not repeat our nonce'],
    ['no nonce', 'no nonce', 'does not repeat our nonce'],
    ['wrong transaction', 'wrong transaction', 'belongs to another transaction'],
    ['other type', 'other type', 'is not a CertRep'],
    ['other signer', 'other signer', 'is not that of a certificate from GetCACert'],
    ['not for us', 'not for us', 'cannot be opened with our key'],
    ['no certificate', 'no certificate', 'no end-entity certificate'],
    ['status 11', 'status 11', 'pkiStatus 11'],
    ['garbage', 'garbage', 'is not accepted'],
    ['too long', { http: 200, body: 'x'.repeat(2 << 20) }, 'more than 1024 KiB'],
    ['unknown failure', { fail: '9' }, 'failInfo “9”'],
  ])('does not accept a reply that is wrong: %s', async (_name, move, words) => {
    const before = server.seen.length;
    server.script.push(move);
    const issuing = authority.issue(await orderFrom(authority), never);
    const error: unknown = await issuing.catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'ca-bad-answer',
      message: expect.stringContaining(words),
    });
    // A failure that the CA signed is an answer; with every other there may be a certificate.
    expect(error instanceof ProvisioningError && mayHaveIssued(error)).toBe(
      !words.startsWith('failInfo'),
    );
    expect(server.seen).toHaveLength(before + 1);
  });

  it('may not send our message elsewhere', async () => {
    server.script.push({ http: 302, headers: { location: 'http://elsewhere.example.org/' } });
    await expect(authority.issue(await orderFrom(authority), never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringMatching(/HTTP 302.*it points to, at http:\/\/elsewhere\.example\.org/),
    });
  });

  it.each<[Move, string]>([
    [{ fail: '0' }, 'ca-misconfigured'],
    [{ fail: '1' }, 'ca-misconfigured'],
    [{ fail: '3', text: 'my clock' }, 'ca-misconfigured'],
    [{ fail: '2', text: 'The RPC server is unavailable. 0x800706ba' }, 'ca-unavailable'],
    [{ http: 500, body: 'boom' }, 'ca-unavailable'],
    [{ http: 403, body: 'no' }, 'ca-misconfigured'],
    [{ http: 429, headers: { 'retry-after': '120' } }, 'ca-throttled'],
    [{ http: 503, headers: { 'retry-after': '120' } }, 'ca-unavailable'],
  ])('says who must act when it hears %j', async (move, code) => {
    server.script.push(move);
    const retryAfterMs = JSON.stringify(move).includes('retry-after') ? 120_000 : undefined;
    await expect(authority.issue(await orderFrom(authority), never)).rejects.toMatchObject({
      code,
      retryAfterMs,
    });
    expect(await authority.issue(await orderFrom(authority), never)).toMatchObject({
      kind: 'issued',
    });
  });

  it.each(['2', '4'])('takes failInfo %s for the end of the order', async (fail) => {
    server.script.push({ fail, text: '<b>policy</b>' });
    expect(await authority.issue(await orderFrom(authority), never)).toMatchObject({
      kind: 'rejected',
      reason: expect.stringMatching(/^bad(Request|CertId): .*policy$/),
    });
  });

  it('is never mistaken, nor a reason to break, when bytes of it are changed', async () => {
    const order = await orderFrom(authority);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        async (changes) => {
          server.damage = (body) => {
            for (const [at, value] of changes) body[at % body.length] = value;
            return body;
          };
          const outcome = await authority.issue(order, never).catch((error: unknown) => error);
          if (outcome instanceof ProvisioningError) expect(outcome.code).toBe('ca-bad-answer');
          else expect(outcome).toMatchObject({ kind: 'issued' });
        },
      ),
      { numRuns: 60 },
    );
    server.damage = undefined;
  });
});

function pem({ key }: Identity): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

describe('the certificates of a SCEP server', () => {
  it.each<[string, string[], boolean]>([
    ['of an enrolment agent who logs in with it', [smartcardLogon], false],
    ['of a device that logs in by EAP', ['1.3.6.1.5.5.7.3.14'], false],
    ['that says it is a CA’s and may sign no certificates', [], true],
  ])('are nobody’s to send the challenge to: one %s', async (_, usages, isCa) => {
    const root = await makeCa();
    const oids = [extendedKeyUsageOids.certificateRequestAgent, ...usages];
    const extensions = isCa ? [] : [new x509.ExtendedKeyUsageExtension(oids)];
    const keyUsage = x509.KeyUsageFlags.keyEncipherment;
    const one = await makeCa({ name: 'CN=one', parent: root, isCa, keyUsage, extensions });
    const authorities = [createHash('sha256').update(root.der).digest('hex')];
    const pins = { authorities, agents: [], isSecure: false };
    const found = [one.der, root.der].map((der) => readCertificate(der));
    expect(() => chooseCertificates(found, pins, now)).toThrow(/Nothing says .*“CN=one”/);
  });

  it('of the past and of the future stand behind those that are valid now', async () => {
    const root = await makeCa();
    const rsa = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048 };
    const keys = await webcrypto.subtle.generateKey(
      { ...rsa, publicExponent: Uint8Array.of(1, 0, 1) },
      true,
      ['sign', 'verify'],
    );
    const ranges = [
      [now - 9 * dayMs, now - dayMs],
      [now + dayMs, now + 9 * dayMs],
      [now - dayMs, now + dayMs],
    ] as const;
    const made = (isCa: boolean) =>
      Promise.all(
        ranges.map(async ([notBefore, notAfter]) => {
          const keyUsage = isCa
            ? x509.KeyUsageFlags.keyCertSign
            : x509.KeyUsageFlags.keyEncipherment;
          const agent = new x509.ExtendedKeyUsageExtension(['1.3.6.1.4.1.311.20.2.1']);
          const extensions = isCa ? [] : [agent];
          const name = 'CN=SCEP';
          const given = {
            name,
            parent: root,
            keys,
            isCa,
            keyUsage,
            notBefore,
            notAfter,
            extensions,
          };
          return readCertificate((await makeCa(given)).der);
        }),
      );
    const authorities = [createHash('sha256').update(root.der).digest('hex')];
    for (const isCa of [false, true]) {
      const found = await made(isCa);
      for (const pins of [
        { authorities, agents: [], isSecure: false },
        { authorities: [], agents: [], isSecure: true },
      ]) {
        const { recipient } = chooseCertificates([readCertificate(root.der), ...found], pins, now);
        expect(recipient).toBe(found[2]);
      }
      const old = [readCertificate(root.der), ...found.slice(0, 1)];
      const pins = { authorities, agents: [], isSecure: false };
      expect(() => chooseCertificates(old, pins, now)).toThrow(/expired on 2026-01-14/);
    }
  });
});
