import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import googleCas from '../../adapters/google-cas/google-cas.ts';
import { newOrder } from '../../conformance/order.ts';
import type { CertificateAuthority } from '../../src/plug-in/certificate-authority.ts';
import { describeAdapter } from './contract.ts';
import type { Answer } from './doubles/cloud-server.ts';
import { json } from './doubles/cloud-server.ts';
import { status, token } from './doubles/google-cas.ts';
import { type GoogleCasHarness, googleCasHarness } from './google-cas-harness.ts';

describeAdapter('google-cas', googleCasHarness);

const never = new AbortController().signal;
let harness: GoogleCasHarness;
let authority: CertificateAuthority;

beforeEach(async () => {
  harness = await googleCasHarness();
  // The library warns about every workload-identity file; the contract above uses one.
  harness.double.closed = false;
  authority = await harness.connect({ credentials: 'none' });
});

afterEach(async () => {
  await authority[Symbol.asyncDispose]();
  await harness[Symbol.asyncDispose]();
});

const order = (asked = {}) => newOrder({ harness, authority }, 'ec', asked);

describe('google-cas', () => {
  it('orders with an id, a UUID and a lifetime made from the order', async () => {
    const request = await order({ validityDays: 30, template: 'wifi' });
    await authority.issue(request, never);
    const { url, body } = harness.double.server.seen.at(-1)!;
    const id = request.requestId;
    expect(Object.fromEntries(url.searchParams)).toEqual({
      certificateId: `certprov-${id}`,
      requestId: `${id.slice(0, 8)}-${id.slice(8, 12)}-${id.slice(12, 16)}-${id.slice(16, 20)}-${id.slice(20)}`,
    });
    expect(JSON.parse(body)).toMatchObject({
      lifetime: '2592000s',
      certificateTemplate: 'projects/school/locations/europe-west3/certificateTemplates/wifi',
    });
  });

  it('fetches the certificate of an order that the service has forgotten the request of', async () => {
    const request = await order();
    const first = await authority.issue(request, never);
    harness.double.requests.clear();
    expect(await authority.issue(request, never)).toEqual(first);
    expect(harness.double.certificates.size).toBe(1);
  });

  it('never repeats its token', async () => {
    await using known = await harness.connect();
    harness.double.server.instead.push(() => status(400, 'INVALID_ARGUMENT', `You sent ${token}`));
    const reason = 'INVALID_ARGUMENT: You sent [secret]';
    expect(await known.issue(await order(), never)).toEqual({ kind: 'rejected', reason });
  });

  it('does not take a stranger’s certificate of the same id', async () => {
    const request = await order();
    await authority.issue(request, never);
    harness.double.requests.clear();
    const other = { ...(await order()), requestId: request.requestId };
    await expect(authority.issue(other, never)).rejects.toMatchObject({ code: 'ca-bad-answer' });
  });

  it('promises neither idempotency nor revocation in the tier devops', async () => {
    await using devops = await harness.connect({ tier: 'devops', credentials: 'none' });
    expect(devops.features).toMatchObject({ idempotent: false, revoke: false });
    expect(devops.revoke).toBeUndefined();
    harness.double.server.instead.push(({ url }) => {
      expect(url.searchParams.has('certificateId')).toBe(false);
      return status(503, 'UNAVAILABLE', 'Enough seen.');
    });
    await expect(devops.issue(await order(), never)).rejects.toThrow('Enough seen');
  });

  it('says that credentials which give no token are the administrator’s to mend', async () => {
    await using nobody = await harness.connect({ credentials: { file: 'no-such-file.json' } });
    const failed = nobody.issue(await order(), never);
    await expect(failed).rejects.toMatchObject({ code: 'ca-misconfigured' });
  });

  it('declares the service’s quota', () => {
    expect(googleCas.requestsPerSecond).toBe(7);
  });

  it('says at its check which permission is missing', async () => {
    harness.double.permissions = ['privateca.certificates.create'];
    await expect(authority.check(never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringContaining('privateca.certificates.get'),
    });
  });

  it('revokes under the reason’s name, and says so when the pool does not know the certificate', async () => {
    const answer = await authority.issue(await order(), never);
    if (answer.kind !== 'issued') throw new Error(answer.kind);
    await authority.revoke?.(answer.certificate, 'keyCompromise', never);
    const [resource] = [...harness.double.certificates.values()];
    expect(resource?.revocationDetails?.revocationState).toBe('KEY_COMPROMISE');
    harness.double.certificates.clear();
    const again = authority.revoke?.(answer.certificate, 'keyCompromise', never);
    await expect(again).rejects.toMatchObject({ code: 'ca-bad-answer' });
  });

  it.each<[string, Answer, string, number | undefined]>([
    ['401', status(401, 'UNAUTHENTICATED', 'who?'), 'ca-misconfigured', undefined],
    ['403', status(403, 'PERMISSION_DENIED', 'no right'), 'ca-misconfigured', undefined],
    ['404', status(404, 'NOT_FOUND', 'no pool'), 'ca-misconfigured', undefined],
    [
      'a disabled CA',
      status(400, 'FAILED_PRECONDITION', 'CA is DISABLED'),
      'ca-misconfigured',
      undefined,
    ],
    ['409 ABORTED', status(409, 'ABORTED', 'again'), 'ca-unavailable', undefined],
    [
      '429',
      status(429, 'RESOURCE_EXHAUSTED', 'slower', { 'retry-after': '12' }),
      'ca-throttled',
      12_000,
    ],
    ['499', status(499, 'CANCELLED', 'gone'), 'ca-unavailable', undefined],
    ['500', status(500, 'INTERNAL', 'oops'), 'ca-unavailable', undefined],
    ['504', status(504, 'DEADLINE_EXCEEDED', 'late'), 'ca-unavailable', undefined],
    [
      'a redirect',
      { status: 302, headers: { location: '/x' }, body: '' },
      'ca-misconfigured',
      undefined,
    ],
    ['a proxy’s page', { status: 502, body: '<html>' }, 'ca-unavailable', undefined],
    ['JSON without a certificate', json(200, { name: 'x' }), 'ca-bad-answer', undefined],
    ['no JSON object', json(200, null), 'ca-bad-answer', undefined],
    ['a huge answer', { status: 200, body: 'x'.repeat(1_100_000) }, 'ca-bad-answer', undefined],
    [
      'a fault of the configuration',
      json(400, {
        error: {
          status: 'INVALID_ARGUMENT',
          message: 'too long',
          details: [{ fieldViolations: [{ field: 'certificate.lifetime' }] }],
        },
      }),
      'ca-misconfigured',
      undefined,
    ],
  ])('makes the process wait after %s', async (_what, answer, code, retryAfterMs) => {
    harness.double.server.instead.push(() => answer);
    const failed = authority.issue(await order(), never);
    await expect(failed).rejects.toMatchObject({ code, retryAfterMs });
  });

  it.each<[string, Answer]>([
    ['a CSR that it does not accept', status(400, 'INVALID_ARGUMENT', 'bad CSR')],
    ['a policy', status(400, 'FAILED_PRECONDITION', 'denied by the issuance policy')],
  ])('takes %s for a decision', async (_what, answer) => {
    harness.double.server.instead.push(() => answer);
    expect(await authority.issue(await order(), never)).toMatchObject({ kind: 'rejected' });
  });

  it('says that a server which cannot be reached is unavailable', async () => {
    const options = { endpoint: 'http://127.0.0.1:1', credentials: 'none' };
    await using nowhere = await harness.connect(options);
    const failed = nowhere.issue(await order(), never);
    await expect(failed).rejects.toMatchObject({ code: 'ca-unavailable' });
  });

  it.each([
    { caPool: 'devices' },
    { endpoint: 'http://example.org' },
    { endpoint: 'https://privateca.googleapis.com', credentials: 'none' },
    { surprise: 1 },
  ])('refuses the options %o', (wrong) => {
    const right = { caPool: 'projects/p/locations/l/caPools/k' };
    expect(googleCas.options.safeParse(right).success).toBe(true);
    expect(googleCas.options.safeParse({ ...right, ...wrong }).success).toBe(false);
  });
});
