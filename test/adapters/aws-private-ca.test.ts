import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import awsPrivateCa from '../../adapters/aws-private-ca/aws-private-ca.ts';
import { checked, collected, newOrder } from '../../conformance/order.ts';
import type { CertificateAuthority } from '../../src/plug-in/certificate-authority.ts';
import { collectFrom } from '../support/collect-from.ts';
import { type AwsHarness, awsPrivateCaHarness } from './aws-private-ca-harness.ts';
import { describeAdapter } from './contract.ts';
import { caArn, problem } from './doubles/aws-private-ca.ts';
import type { Answer } from './doubles/cloud-server.ts';
import { json } from './doubles/cloud-server.ts';

describeAdapter('aws-private-ca', awsPrivateCaHarness);

const never = new AbortController().signal;
let harness: AwsHarness;
let authority: CertificateAuthority;

beforeEach(async () => {
  harness = await awsPrivateCaHarness();
  authority = await harness.connectPlain();
});

afterEach(async () => {
  await authority[Symbol.asyncDispose]();
  await harness[Symbol.asyncDispose]();
});

const context = () => ({ harness, authority, connect: harness.connect });
const order = (asked = {}) => newOrder(context(), 'ec', asked);
const ordered = () =>
  harness.double.server.seen
    .filter(({ headers }) => headers['x-amz-target'] === 'ACMPrivateCA.IssueCertificate')
    .map(({ body }) => JSON.parse(body));

describe('aws-private-ca', () => {
  it('keeps the ARN as ticket before it asks for the certificate', async () => {
    const answer = await authority.issue(await order(), never);
    const [arn] = harness.double.orders.keys();
    expect(answer).toEqual({ kind: 'pending', ticket: arn, pollAfterMs: 2_000 });
  });

  it('asks how the CA signs once, or not at all when it is told', async () => {
    const described = () =>
      harness.double.server.seen.filter(({ headers }) =>
        String(headers['x-amz-target']).endsWith('DescribeCertificateAuthority'),
      ).length;
    await authority.issue(await order(), never);
    await authority.issue(await order(), never);
    expect(described()).toBe(1);
    await using told = await harness.connectPlain({ signingAlgorithm: 'SHA256WITHECDSA' });
    await told.issue(await order(), never);
    expect(described()).toBe(1);
  });

  it('repeats an order under the same token for as long as the service remembers it', async () => {
    const request = await order();
    const first = await authority.issue(request, never);
    expect(await authority.issue(request, never)).toEqual(first);
    harness.double.tokens.clear();
    expect(await authority.issue(request, never)).not.toEqual(first);
    const tokens = ordered().map(({ IdempotencyToken }) => IdempotencyToken);
    expect(new Set(tokens).size).toBe(1);
    expect(tokens[0]).toMatch(/^[0-9a-f]{36}$/);
    expect(authority.features.idempotent).toBe(false);
  });

  it('sends usages, names and the SID beside the CSR only with a template that takes them', async () => {
    await authority.issue(await order(), never);
    expect(ordered()[0]).not.toHaveProperty('ApiPassthrough');
    expect(ordered()[0]).toMatchObject({
      TemplateArn: 'arn:aws:acm-pca:::template/EndEntityClientAuthCertificate/V1',
      Validity: { Type: 'DAYS', Value: 90 },
    });

    const template = 'BlankEndEntityCertificate_APICSRPassthrough/V1';
    await using blank = await harness.connectPlain({ template });
    const request = await order({
      subjectAltNames: [
        { type: 'upn', value: 'anna@ad.example.org' },
        { type: 'uri', value: 'urn:example:1' },
      ],
      extendedKeyUsages: ['1.3.6.1.5.5.7.3.2', '1.3.6.1.4.1.311.20.2.2'],
    });
    await checked(
      context(),
      request,
      await collected(blank, request, await blank.issue(request, never)),
    );
    expect(ordered()[1].ApiPassthrough.Extensions).toEqual({
      SubjectAlternativeNames: [
        { OtherName: { TypeId: '1.3.6.1.4.1.311.20.2.3', Value: 'anna@ad.example.org' } },
        { UniformResourceIdentifier: 'urn:example:1' },
      ],
      KeyUsage: {
        DigitalSignature: true,
        NonRepudiation: false,
        KeyEncipherment: false,
        DataEncipherment: false,
        KeyAgreement: false,
      },
      ExtendedKeyUsage: [
        { ExtendedKeyUsageType: 'CLIENT_AUTH' },
        { ExtendedKeyUsageObjectIdentifier: '1.3.6.1.4.1.311.20.2.2' },
      ],
    });
  });

  it('says at its check that the CA is not active', async () => {
    harness.double.status = 'DISABLED';
    await expect(authority.check(never)).rejects.toMatchObject({ code: 'ca-misconfigured' });
  });

  it('asks after an order later where the service wants it so', async () => {
    const request = await order();
    const answer = await authority.issue(request, never);
    if (answer.kind !== 'pending') throw new Error(answer.kind);
    const busy = problem('RequestInProgressException', 'not yet', 400, { 'retry-after': '90' });
    const { server } = harness.double;
    server.counts = ({ headers }) => String(headers['x-amz-target']).endsWith('.GetCertificate');
    server.instead.push(() => busy);
    const look = collectFrom(authority, answer.ticket, request, never);
    expect(await look).toMatchObject({ kind: 'pending', pollAfterMs: 90_000 });
  });

  it('refuses a ticket that is no ARN', async () => {
    const collecting = collectFrom(authority, 'ticket', await order(), never);
    await expect(collecting).rejects.toMatchObject({ code: 'ca-misconfigured' });
  });

  it('does not take the certificate of another key', async () => {
    const answer = await authority.issue(await order(), never);
    if (answer.kind !== 'pending') throw new Error(answer.kind);
    const collecting = collectFrom(authority, answer.ticket, await order(), never);
    await expect(collecting).rejects.toMatchObject({ code: 'ca-bad-answer' });
  });

  it.each<[string, Answer, string, number | undefined]>([
    ['missing rights', problem('AccessDeniedException', 'no'), 'ca-misconfigured', undefined],
    ['a wrong key', problem('InvalidSignatureException', 'no', 403), 'ca-misconfigured', undefined],
    ['an unknown key', problem('UnrecognizedClientException', 'no'), 'ca-misconfigured', undefined],
    ['an expired token', problem('ExpiredTokenException', 'no'), 'ca-misconfigured', undefined],
    ['a wrong ARN', problem('InvalidArnException', 'no'), 'ca-misconfigured', undefined],
    ['an unknown CA', problem('ResourceNotFoundException', 'no'), 'ca-misconfigured', undefined],
    ['a CA not active', problem('InvalidStateException', 'no'), 'ca-misconfigured', undefined],
    ['a full CA', problem('LimitExceededException', 'no'), 'ca-misconfigured', undefined],
    [
      'arguments of the configuration',
      problem('InvalidArgsException', 'The validity ends after the CA.'),
      'ca-misconfigured',
      undefined,
    ],
    [
      'too many requests',
      problem('ThrottlingException', 'no', 400, { 'retry-after': '7' }),
      'ca-throttled',
      7_000,
    ],
    ['an internal failure', problem('InternalFailure', 'no', 500), 'ca-unavailable', undefined],
    ['a proxy’s page', { status: 502, body: '<html>' }, 'ca-unavailable', undefined],
    ['no ARN', json(200, {}), 'ca-bad-answer', undefined],
    ['a huge answer', { status: 200, body: 'x'.repeat(1_100_000) }, 'ca-bad-answer', undefined],
  ])('makes the process wait after %s', async (_what, answer, code, retryAfterMs) => {
    harness.double.server.instead.push(() => answer);
    const failed = authority.issue(await order(), never);
    await expect(failed).rejects.toMatchObject({ code, retryAfterMs });
  });

  it.each([
    problem('MalformedCSRException', 'no'),
    problem('InvalidArgsException', 'The subject of the CSR is not valid.'),
  ])('takes $body for a decision', async (answer) => {
    harness.double.server.instead.push(() => answer);
    expect(await authority.issue(await order(), never)).toMatchObject({ kind: 'rejected' });
  });

  it('says that a server which cannot be reached is unavailable', async () => {
    await using nowhere = await harness.connectPlain({ endpoint: 'http://127.0.0.1:1' });
    await expect(nowhere.check(never)).rejects.toMatchObject({ code: 'ca-unavailable' });
  });

  it('refuses options that cannot be right', () => {
    const { options } = awsPrivateCa;
    expect(options.safeParse({ certificateAuthorityArn: caArn }).success).toBe(true);
    expect(options.safeParse({ certificateAuthorityArn: 'ca' }).success).toBe(false);
    expect(options.safeParse({ certificateAuthorityArn: caArn, template: 'x' }).success).toBe(
      false,
    );
    const secretAccessKey = 'in the file itself';
    const credentials = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey };
    expect(options.safeParse({ certificateAuthorityArn: caArn, credentials }).success).toBe(false);
  });
});
