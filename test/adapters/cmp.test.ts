import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import cmp from '../../adapters/cmp/cmp.ts';
import { DeviceKey } from '../../conformance/device-key.ts';
import { mayHaveIssued, ProvisioningError } from '../../src/errors.ts';
import type { CertificateAuthority, Collected } from '../../src/plug-in/certificate-authority.ts';
import { collectFrom } from '../support/collect-from.ts';
import { type CmpHarness, cmpHarness, withSecret, withSignature } from './cmp-harness.ts';
import { describeAdapter, describeProtection } from './contract.ts';
import type { CmpWord } from './doubles/cmp-server.ts';

describeAdapter('cmp with a secret (PBM)', () => cmpHarness(withSecret));
describeProtection('cmp with a secret (PBMAC1)', () =>
  cmpHarness({ ...withSecret, mac: 'pbmac1' }),
);
describeProtection('cmp with signatures', () => cmpHarness(withSignature));

const never = new AbortController().signal;
const wanted = {
  subject: [[{ type: '2.5.4.3', value: 'device.example.org' }]],
  subjectAltNames: [],
  keyUsages: ['digitalSignature'],
  extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'],
  validityDays: 90,
} as const;

function newOrder() {
  const key = new DeviceKey('ec');
  return {
    requestId: randomBytes(16).toString('hex'),
    processId: 'process-1',
    keyType: 'ec',
    subjectPublicKeyInfo: key.subjectPublicKeyInfo,
    subject: { kind: 'device', serialNumber: '5CD1234' },
    wanted,
    csr: key.request(wanted),
  } as const;
}

describe('a CMP server', () => {
  let harness: CmpHarness;
  let authority: CertificateAuthority;
  let opened: CertificateAuthority[];

  beforeEach(async () => {
    harness = await cmpHarness(withSecret);
    authority = await harness.connect();
    opened = [authority];
  });
  afterEach(async () => {
    for (const each of opened) await each[Symbol.asyncDispose]();
    await harness[Symbol.asyncDispose]();
  });
  async function connectWith(options: Record<string, unknown>) {
    const other = await harness.connectWith(options);
    opened.push(other);
    return other;
  }
  async function toTheEnd(order: ReturnType<typeof newOrder>): Promise<Collected> {
    let answer: Collected = await authority.issue(order, never);
    for (let round = 0; answer.kind === 'pending' && round < 5; round++) {
      const ticket = JSON.parse(JSON.stringify(answer.ticket));
      const other = await connectWith(withSecret);
      answer = await collectFrom(other, ticket, order, never);
    }
    return answer;
  }

  it('is told that its certificate was received', async () => {
    const order = newOrder();
    expect((await authority.issue(order, never)).kind).toBe('issued');
    expect(harness.server.requests).toEqual([4, 24]);
    expect([...harness.server.confirmed]).toEqual([order.requestId]);
  });

  it('is not told where it grants implicit confirmation, which is asked for unless switched off', async () => {
    harness.server.script.push('grant-implicit', 'grant-implicit');
    await authority.issue(newOrder(), never);
    expect(harness.server.requests).toEqual([4]);
    const other = await connectWith({ ...withSecret, implicitConfirm: false });
    await other.issue(newOrder(), never);
    expect(harness.server.requests).toEqual([4, 4, 24]);
  });

  it('may number the request 0, and gets its number back', async () => {
    harness.server.script.push('cert-req-id-0');
    expect((await authority.issue(newOrder(), never)).kind).toBe('issued');
    expect(harness.server.refusals).toEqual([]);
  });

  it('gets the confirmation again when it did not answer, from another instance too', async () => {
    harness.server.script.push('lose-confirmation');
    const order = newOrder();
    expect((await toTheEnd(order)).kind).toBe('issued');
    expect(harness.server.requests).toEqual([4, 24, 24]);
    expect(harness.server.confirmed.size).toBe(1);
  });

  it('that confirmed and forgot while its answer was lost is believed', async () => {
    harness.server.script.push('lose-confirmation-answer');
    expect((await toTheEnd(newOrder())).kind).toBe('issued');
    expect(harness.server.requests).toEqual([4, 24, 24]);
  });

  it('that has lost a waiting transaction is told so, and does not order by itself', async () => {
    harness.server.script.push('pend', 'serve');
    const order = newOrder();
    const first = await authority.issue(order, never);
    harness.server.forget();
    const ticket = first.kind === 'pending' ? first.ticket : null;
    const found = await collectFrom(authority, ticket, order, never);
    expect(found).toMatchObject({
      kind: 'lost',
      reason: expect.stringContaining('badRecipientNonce'),
    });
    expect(harness.server.requests).toEqual([4, 25]);
  });

  it('may delay its whole answer (RFC 9483 4.4)', async () => {
    harness.server.script.push('pend-whole');
    expect((await toTheEnd(newOrder())).kind).toBe('issued');
    expect(harness.server.requests).toEqual([4, 25, 25, 24]);
  });

  it('says how long to wait', async () => {
    harness.server.script.push('pend');
    const order = newOrder();
    const first = await authority.issue(order, never);
    expect(first).toMatchObject({ kind: 'pending', pollAfterMs: 30_000 });
    const ticket = first.kind === 'pending' ? first.ticket : null;
    expect(await collectFrom(authority, ticket, order, never)).toMatchObject({
      pollAfterMs: 2_000,
    });
  });

  it('is told the profile', async () => {
    const other = await connectWith({ ...withSecret, certProfile: 'wifi' });
    await other.issue(newOrder(), never);
    expect(harness.server.profiles).toEqual(['wifi']);
  });

  it.each<[CmpWord, string, string]>([
    ['drop', 'ca-unavailable', 'did not answer'],
    ['garbage', 'ca-bad-answer', 'PKIMessage'],
    ['unprotected', 'ca-bad-answer', 'not protected'],
    ['bad-mac', 'ca-bad-answer', 'MAC'],
    ['other-transaction', 'ca-bad-answer', 'transaction'],
    ['other-nonce', 'ca-bad-answer', 'nonce'],
    ['wrong-key', 'ca-bad-answer', 'key'],
    ['no-certificate', 'ca-bad-answer', 'none'],
    [{ http: 404 }, 'ca-misconfigured', '404'],
    [{ http: 429, headers: { 'retry-after': '3' } }, 'ca-throttled', '429'],
    [{ http: 502 }, 'ca-unavailable', '502'],
  ])('that answers %j makes the process wait with %s', async (word, code, text) => {
    harness.server.script.push(word);
    await expect(authority.issue(newOrder(), never)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(text),
    });
  });

  it.each([
    [0, 'ca-misconfigured'],
    [1, 'ca-misconfigured'],
    [3, 'ca-misconfigured'],
    [6, 'ca-misconfigured'],
    [8, 'ca-bad-answer'],
    [12, 'ca-misconfigured'],
    [13, 'ca-bad-answer'],
    [20, 'ca-misconfigured'],
    [21, 'ca-unavailable'],
    [22, 'ca-misconfigured'],
    [23, 'ca-misconfigured'],
    [24, 'ca-unavailable'],
    [25, 'ca-unavailable'],
  ])('that refuses with failInfo bit %i makes the process wait with %s', async (bit, code) => {
    harness.server.script.push({ failures: [bit], as: 'cp' }, { failures: [bit, 2], as: 'error' });
    await expect(authority.issue(newOrder(), never)).rejects.toMatchObject({ code });
    await expect(authority.issue(newOrder(), never)).rejects.toMatchObject({ code });
  });

  it.each([2, 4, 5, 9, 15, 16, 19, 26])('decides with failInfo bit %i', async (bit) => {
    harness.server.script.push({ failures: [bit], as: 'cp' }, { failures: [bit], as: 'error' });
    expect((await authority.issue(newOrder(), never)).kind).toBe('rejected');
    expect((await authority.issue(newOrder(), never)).kind).toBe('rejected');
  });

  it('that does not know our secret is misconfigured, although anybody could have said so', async () => {
    const other = await connectWith({ ...withSecret, secret: { env: 'CMP_OTHER' } });
    await expect(other.issue(newOrder(), never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringContaining('unprotected'),
    });
  });

  it('may derive the key of its MAC as long as the Siemens RA does, of 4,096 bytes', async () => {
    harness.server.keyBytes = 4_096;
    expect((await authority.issue(newOrder(), never)).kind).toBe('issued');
  });

  it.each([
    [16_385, '16384 are made at most'],
    [16_000, '4000000 are done at most in all'],
  ])('is not given the work that a key of %i bytes would take', async (bytes, text) => {
    harness.server.keyBytes = bytes;
    await expect(authority.issue(newOrder(), never)).rejects.toMatchObject({
      code: 'ca-bad-answer',
      message: expect.stringContaining(text),
    });
  });

  it('that says with a MAC of its own that our secret is wrong is understood', async () => {
    harness.server.keyBytes = 512;
    harness.server.protectsRefusals = true;
    const other = await connectWith({ ...withSecret, secret: { env: 'CMP_OTHER' } });
    const error = await other.issue(newOrder(), never).catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringMatching(
        /protected with another secret than ours.*Look at reference and secret/,
      ),
    });
  });

  it.each<[CmpWord, boolean]>([
    ['drop', true],
    ['garbage', true],
    ['bad-mac', true],
    ['other-nonce', true],
    ['wrong-key', true],
    [{ http: 502 }, true],
    [{ http: 404 }, true],
    [{ http: 429 }, false],
    [{ failures: [24], as: 'error' }, false],
    [{ failures: [18], as: 'cp' }, false],
  ])('that answers %j may have issued: %s', async (word, may) => {
    harness.server.script.push(word);
    const error = await authority.issue(newOrder(), never).catch((caught: unknown) => caught);
    expect(error instanceof ProvisioningError && mayHaveIssued(error)).toBe(may);
  });

  it('keeps a repeated order waiting while the first attempt is open', async () => {
    harness.server.script.push('pend');
    const order = newOrder();
    await authority.issue(order, never);
    await expect(authority.issue(order, never)).rejects.toMatchObject({ code: 'ca-unavailable' });
  });

  it('is not given the tickets of another kind', async () => {
    await expect(collectFrom(authority, 'ticket', newOrder(), never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
    });
  });

  it('need not take revocations', async () => {
    const other = await connectWith({ ...withSecret, revoke: false });
    expect(other.revoke).toBeUndefined();
    expect(other.features.revoke).toBe(false);
  });

  it('is probed without credentials', async () => {
    await (await connectWith({ ...withSecret, check: 'probe' })).check(never);
    expect(harness.server.requests).toEqual([]);
    const nobody = await connectWith({ ...withSecret, url: 'http://127.0.0.1:1/' });
    await expect(nobody.check(never)).rejects.toMatchObject({ code: 'ca-unavailable' });
  });
});

describe('a signer of answers', () => {
  async function issueWith(usages: readonly string[], options: Record<string, unknown> = {}) {
    await using harness = await cmpHarness(withSignature, usages);
    await using authority = await harness.connectWith({ ...withSignature, ...options });
    return await authority.issue(newOrder(), never);
  }

  it('with no more than a device’s certificate is not believed', async () => {
    await expect(issueWith(['1.3.6.1.5.5.7.3.2'])).rejects.toMatchObject({
      code: 'ca-bad-answer',
      message: expect.stringContaining('responderName'),
    });
  });

  it('is believed when the configuration names it', async () => {
    const answer = await issueWith(['1.3.6.1.5.5.7.3.2'], { responderName: 'CN=cmp.example.org' });
    expect(answer.kind).toBe('issued');
  });

  it('from another hierarchy is not believed', async () => {
    const roots = { responderRoots: 'other-root.pem' };
    await expect(issueWith(['1.3.6.1.5.5.7.3.27'], roots)).rejects.toMatchObject({
      code: 'ca-bad-answer',
      message: expect.stringContaining('not trusted'),
    });
  });
});

describe('the options of cmp', () => {
  const url = 'http://ca.example.org/cmp';
  it.each([
    [{ url }, 'one kind of protection'],
    [{ url, reference: 'r' }, 'one kind of protection'],
    [{ url, ...withSecret, ...withSignature }, 'one kind of protection'],
    [{ url, signerCertFile: 'a', signerKeyFile: 'b' }, 'is needed with signerCertFile'],
    [{ url, ...withSecret, recipient: 'nonsense' }, 'recipient'],
    [{ url, ...withSecret, secret: 'text' }, 'never written'],
  ])('refuse %j', (options, text) => {
    expect(cmp.options.safeParse(options).error?.message).toContain(text);
  });
});
