import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { signatureOf } from '../../adapters/webhook/signature.ts';
import webhook from '../../adapters/webhook/webhook.ts';
import type { CertificateAuthority } from '../../src/plug-in/certificate-authority.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { collectFrom } from '../support/collect-from.ts';
import { connectContext } from '../support/connect-context.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { sampleOrder } from '../support/sample-order.ts';
import { describeAdapter } from './contract.ts';
import type { ServerAnswer } from './doubles/scripted-http-server.ts';
import { WebhookService } from './doubles/webhook-service.ts';
import { webhookHarness } from './webhook-harness.ts';

describeAdapter('webhook', webhookHarness);

const never = new AbortController().signal;

describe('a CA behind a web service', () => {
  let service: WebhookService;
  let opened: CertificateAuthority[];

  beforeEach(async () => {
    service = await WebhookService.start(['new-secret']);
    opened = [];
  });
  afterEach(async () => {
    for (const ca of opened) await ca[Symbol.asyncDispose]();
    await service[Symbol.asyncDispose]();
  });

  async function open(given: object = {}, clock?: ManualClock): Promise<CertificateAuthority> {
    const env = { NEW: 'new-secret', OLD: 'old-secret', WRONG: 'wrong-secret' };
    const context = connectContext('.', { env, ...(clock === undefined ? {} : { clock }) });
    const options = webhook.options.parse({
      url: `${service.server.origin}/certprov`,
      secret: { env: 'NEW' },
      ...given,
    });
    const ca = await webhook.connect(options, context, never);
    opened.push(ca);
    return ca;
  }

  it('signs as openssl does: printf %s "1700000000.{…}" | openssl dgst -sha256 -hmac', () => {
    expect(signatureOf('{"a":1}', ['first-secret'], 1_700_000_000_999)).toBe(
      't=1700000000,v1=e8acd5a527ae19f5907c60bcf6e4c5cc85f65b6bec12ffbd85e73a67bd29849a',
    );
  });

  it('signs with both secrets while they are being changed', async () => {
    const ca = await open({ secret: { env: 'OLD' }, otherSecret: { env: 'NEW' } });
    expect(await ca.issue(sampleOrder(), never)).toMatchObject({ kind: 'issued' });
    const header = service.server.received[0]?.headers['certprov-signature'];
    expect(String(header).match(/v1=/g)).toHaveLength(2);
  });

  it('says that an administrator must act when the secret is wrong', async () => {
    const ca = await open({ secret: { env: 'WRONG' } });
    await expect(ca.issue(sampleOrder(), never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
    });
  });

  it('says that an administrator must act when its clock is so wrong that the service refuses', async () => {
    const ca = await open({}, new ManualClock(Date.now() - 3_600_000));
    await expect(ca.issue(sampleOrder(), never)).rejects.toThrow('The signature is old');
  });

  it('takes the certificate with the order’s key for the leaf, wherever it stands', async () => {
    const ca = await open();
    const order = sampleOrder();
    const leaf = service.ca.sign(order.csr);
    const certificatesPem = [service.ca.issuing, leaf]
      .map((der) => encodePem('CERTIFICATE', der))
      .join('');
    service.server.misbehave({ status: 200, body: { status: 'issued', certificatesPem } });
    const answer = await ca.issue(order, never);
    expect(answer).toEqual({ kind: 'issued', certificate: leaf, chain: [service.ca.issuing] });
  });

  it('asks again when the service said, or when the options say', async () => {
    const ca = await open({ pollSeconds: 7 });
    const order = sampleOrder();
    service.script.push('pend', 'still');
    const first = await ca.issue(order, never);
    expect(first).toMatchObject({ kind: 'pending', pollAfterMs: 2_500 });
    const ticket = first.kind === 'pending' ? first.ticket : null;
    const second = await collectFrom(ca, ticket, order, never);
    expect(second).toMatchObject({ kind: 'pending', ticket, pollAfterMs: 7_000 });
  });

  it('does not revoke unless the service is said to', async () => {
    expect((await open()).revoke).toBeUndefined();
  });

  it('checks by GET where there is a health URL, signed like everything else', async () => {
    const ca = await open({ healthUrl: `${service.server.origin}/health` });
    await ca.check(never);
    service.server.misbehave({ status: 503, body: 'The database is away.' });
    await expect(ca.check(never)).rejects.toMatchObject({
      code: 'ca-unavailable',
      message: expect.stringContaining('The database is away.'),
    });
  });

  const answers: [string, ServerAnswer, object][] = [
    [
      '429',
      { status: 429, headers: { 'retry-after': '12' } },
      { code: 'ca-throttled', retryAfterMs: 12_000 },
    ],
    [
      '503',
      { status: 503, headers: { 'retry-after': '5' } },
      { code: 'ca-unavailable', retryAfterMs: 5_000 },
    ],
    ['500', { status: 500 }, { code: 'ca-unavailable' }],
    ['408', { status: 408 }, { code: 'ca-unavailable' }],
    [
      '400',
      { status: 400, body: { status: 'rejected', reason: 'no' } },
      { code: 'ca-misconfigured' },
    ],
    ['403', { status: 403 }, { code: 'ca-misconfigured' }],
    ['404', { status: 404 }, { code: 'ca-misconfigured' }],
    ['422', { status: 422 }, { code: 'ca-misconfigured' }],
    [
      'a redirect',
      { status: 307, headers: { location: '/certprov' } },
      { code: 'ca-misconfigured' },
    ],
    ['text', { status: 200, body: 'welcome' }, { code: 'ca-bad-answer' }],
    ['no status', { status: 200, body: {} }, { code: 'ca-bad-answer' }],
    [
      'a ticketless pending',
      { status: 200, body: { status: 'pending' } },
      { code: 'ca-bad-answer' },
    ],
    [
      'a huge ticket',
      { status: 200, body: { status: 'pending', ticket: 'x'.repeat(20_000) } },
      { code: 'ca-bad-answer' },
    ],
    ['revoked', { status: 200, body: { status: 'revoked' } }, { code: 'ca-bad-answer' }],
    ['2 MiB', { status: 200, body: 'x'.repeat(2 * 1024 * 1024) }, { code: 'ca-bad-answer' }],
  ];
  it.each(answers)('reads %s as what it means', async (_, answer, expected) => {
    const ca = await open();
    service.server.misbehave(answer);
    await expect(ca.issue(sampleOrder(), never)).rejects.toMatchObject(expected);
    expect(service.server.received).toHaveLength(1);
  });

  it('says that nobody answered when the connection breaks', async () => {
    const ca = await open();
    service.server.misbehave('reset');
    await expect(ca.issue(sampleOrder(), never)).rejects.toMatchObject({ code: 'ca-unavailable' });
  });

  it.each([
    ['http://ca.example.org/certprov', 'is not https'],
    ['https://someone:word@ca.example.org/certprov', 'holds a user or password'],
  ])('refuses to use %s', async (url, problem) => {
    await expect(open({ url })).rejects.toThrow(problem);
  });
});
