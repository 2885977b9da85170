import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import stepCa from '../../adapters/step-ca/step-ca.ts';
import { newOrder } from '../../conformance/order.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { connectContext } from '../support/connect-context.ts';
import { describeAdapter } from './contract.ts';
import { keyPassword, provisioner, startStepCaDouble } from './doubles/step-ca-double.ts';
import { stepCaHarness } from './step-ca-harness.ts';

const never = new AbortController().signal;

describeAdapter('step-ca (double)', stepCaHarness);

describe('step-ca', () => {
  let double: Awaited<ReturnType<typeof startStepCaDouble>>;
  beforeEach(async () => {
    double = await startStepCaDouble();
  });
  afterEach(() => double.server[Symbol.asyncDispose]());

  async function setUp(more: Record<string, unknown> = {}) {
    const { server, key, encryptedKey } = double;
    const env = { KEY: key, ENCRYPTED: encryptedKey, PASSWORD: keyPassword, WRONG: 'wrong' };
    const context = connectContext(server.directory, { env });
    const given = { url: server.url, provisioner, key: { env: 'KEY' }, ...more };
    const authority = await stepCa.connect(stepCa.options.parse(given), context, never);
    const harness = server.harness({
      connect: async () => authority,
      hooks: {} as never,
      secrets: [],
      validityAsAsked: true,
    });
    return { authority, context: { authority, harness, connect: async () => authority } };
  }

  it('mints a token of its own for every order, with the CSR’s common name and names', async () => {
    const { authority, context } = await setUp();
    const order = await newOrder(context, 'ec');
    for (let time = 0; time < 3; time++) await authority.issue(order, never);
    expect(new Set(double.accepted.map(({ jti }) => jti)).size).toBe(3);
    for (const { sub, sans, exp, iat } of double.accepted) {
      expect({ sub, sans }).toEqual({
        sub: 'contract.example.org',
        sans: ['contract.example.org'],
      });
      expect(exp - iat).toBe(300);
    }
  });

  it('takes an encrypted key with its password, and says what is wrong without telling either', async () => {
    const encrypted = { key: { env: 'ENCRYPTED' }, keyPassword: { env: 'PASSWORD' } };
    const { authority, context } = await setUp(encrypted);
    expect((await authority.issue(await newOrder(context, 'ec'), never)).kind).toBe('issued');
    for (const wrong of [
      { key: { env: 'ENCRYPTED' } },
      { key: { env: 'ENCRYPTED' }, keyPassword: { env: 'WRONG' } },
      { key: { env: 'WRONG' }, keyPassword: { env: 'PASSWORD' } },
    ]) {
      await expect(setUp(wrong)).rejects.toMatchObject({
        code: 'ca-misconfigured',
        message: expect.not.stringMatching(/open sesame|"wrong"/),
      });
    }
  });

  it('leaves the validity to the provisioner where it is told to', async () => {
    const { authority, context } = await setUp({ validity: 'provisioner' });
    const answer = await authority.issue(await newOrder(context, 'ec'), never);
    if (answer.kind !== 'issued') throw new Error(answer.kind);
    const { notAfter } = readCertificate(answer.certificate);
    expect(notAfter - Date.now()).toBeLessThanOrEqual(24 * 3_600_000);
  });

  it('refuses nobody for a validity that the provisioner does not grant', async () => {
    const { authority, context } = await setUp();
    const order = await newOrder(context, 'ec', { validityDays: 500 });
    await expect(authority.issue(order, never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringContaining('maxTLSCertDuration'),
    });
  });

  it('says that a token of a stranger’s key is not accepted', async () => {
    const { authority, context } = await setUp({ provisioner: 'nobody' });
    const order = await newOrder(context, 'ec');
    await expect(authority.issue(order, never)).rejects.toMatchObject({ code: 'ca-misconfigured' });
  });

  it('certifies a device that has a name but no common name', async () => {
    const { authority, context } = await setUp();
    const order = await newOrder(context, 'ec', { subject: [] });
    expect((await authority.issue(order, never)).kind).toBe('issued');
    const nameless = await newOrder(context, 'ec', { subject: [], subjectAltNames: [] });
    expect((await authority.issue(nameless, never)).kind).toBe('rejected');
  });

  it('orders nothing where the CA would make a DNS name of the common name', async () => {
    const { authority, context } = await setUp();
    const order = await newOrder(context, 'ec', {
      subjectAltNames: [{ type: 'upn', value: 'someone@ad.example.org' }],
    });
    await expect(authority.issue(order, never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringContaining('leafTemplate'),
    });
    expect(double.server.calls).toEqual([]);
  });

  it.each([
    [400, 'malformed', 'rejected'],
    [403, 'dns names do not match', 'rejected'],
  ])('takes %i (%s) for a decision', async (status, message, kind) => {
    const { authority, context } = await setUp();
    const order = await newOrder(context, 'ec');
    double.server.misspeak(/sign$/, { status, body: { status, message } });
    expect((await authority.issue(order, never)).kind).toBe(kind);
  });

  it.each([
    [301, 'ca-misconfigured'],
    [400, 'ca-misconfigured', 'error applying certificate template'],
    [401, 'ca-misconfigured'],
    [404, 'ca-misconfigured'],
    [429, 'ca-throttled'],
    [500, 'ca-unavailable'],
    [501, 'ca-misconfigured'],
    [503, 'ca-unavailable'],
  ])('says who must act on %i: %s', async (status, code, message = 'as it happens') => {
    const { authority, context } = await setUp();
    const order = await newOrder(context, 'ec');
    const headers = { 'retry-after': '7' };
    double.server.misspeak(/sign$/, { status, headers, body: { status, message } });
    const retryAfterMs = status === 429 || status === 503 || status === 500 ? 7_000 : undefined;
    await expect(authority.issue(order, never)).rejects.toMatchObject({ code, retryAfterMs });
  });

  it('trusts a root by its fingerprint only when it has it', async () => {
    const { authority } = await setUp({ fingerprint: 'ab'.repeat(32) });
    await expect(authority.check(never)).rejects.toMatchObject({ code: 'ca-misconfigured' });
    const issuing = await double.server.issuing();
    double.server.misspeak(/root/, { status: 200, body: { ca: issuing } });
    await expect(authority.check(never)).rejects.toThrow(/another fingerprint/);
    expect(double.server.calls).not.toContain('GET /health');
  });
});
