import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import cfssl from '../../adapters/cfssl/cfssl.ts';
import { newOrder } from '../../conformance/order.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { connectContext } from '../support/connect-context.ts';
import { cfsslHarness } from './cfssl-harness.ts';
import { describeAdapter } from './contract.ts';
import { authKey, startCfsslDouble } from './doubles/cfssl-double.ts';
import type { SigningServer } from './doubles/signing-server.ts';

const never = new AbortController().signal;

describeAdapter('cfssl (double)', cfsslHarness);

describe('cfssl', () => {
  let server: SigningServer;
  beforeEach(async () => {
    server = await startCfsslDouble();
  });
  afterEach(() => server[Symbol.asyncDispose]());

  async function setUp(more: Record<string, unknown> = {}) {
    const context = connectContext(server.directory, { env: { KEY: authKey, BAD: 'xyz' } });
    const options = cfssl.options.parse({ url: server.url, profile: 'open', ...more });
    const authority = await cfssl.connect(options, context, never);
    const harness = server.harness({
      connect: async () => authority,
      hooks: {} as never,
      secrets: [],
      validityAsAsked: true,
    });
    return { authority, context: { authority, harness, connect: async () => authority } };
  }

  it('signs without a key where the profile has none', async () => {
    const { authority, context } = await setUp();
    const answer = await authority.issue(await newOrder(context, 'ec'), never);
    expect(answer.kind).toBe('issued');
    expect(server.calls).toEqual(['POST /api/v1/cfssl/info', 'POST /api/v1/cfssl/sign']);
  });

  it('orders nothing under a profile that cfssl silently replaces by its default one', async () => {
    const { authority, context } = await setUp({ profile: 'opne' });
    const order = authority.issue(await newOrder(context, 'ec'), never);
    await expect(order).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringMatching(/"opne" gives signing, server auth, not clientAuth/),
    });
    expect(server.calls).toEqual(['POST /api/v1/cfssl/info']);
  });

  it('tells a replaced profile by its expiry where the usages are the same', async () => {
    const { authority, context } = await setUp({ profile: 'open', expiryHours: 24 });
    await expect(authority.issue(await newOrder(context, 'ec'), never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringMatching(/gives 720h, not 24 hours/),
    });
  });

  it('asks for a profile’s facts once a minute, not once an order', async () => {
    const { authority, context } = await setUp();
    for (let order = 0; order < 3; order++)
      await authority.issue(await newOrder(context, 'ec'), never);
    expect(server.calls.filter((call) => call.endsWith('/info'))).toHaveLength(1);
  });

  it('takes the template of the request for the profile', async () => {
    const { authority, context } = await setUp({ profile: 'default' });
    const order = await newOrder(context, 'ec', { template: 'open' });
    expect((await authority.issue(order, never)).kind).toBe('issued');
  });

  it('sends names beside the CSR where it is told to', async () => {
    const { authority, context } = await setUp({ names: 'request' });
    const order = await newOrder(context, 'ec', {
      subjectAltNames: [
        { type: 'dns', value: 'a.example.org' },
        { type: 'upn', value: 'a@ad.example.org' },
        { type: 'email', value: 'a@example.org' },
      ],
    });
    const answer = await authority.issue(order, never);
    if (answer.kind !== 'issued') throw new Error(answer.kind);
    expect(readCertificate(answer.certificate).subjectAltNames).toEqual([
      { type: 'dns', value: 'a.example.org' },
      { type: 'email', value: 'a@example.org' },
    ]);
  });

  it('calls a missing or wrong key a matter for the administrator', async () => {
    const { authority, context } = await setUp({ profile: 'locked' });
    const order = await newOrder(context, 'ec');
    await expect(authority.issue(order, never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringContaining('authentication required'),
    });
    await expect(setUp({ authKey: { env: 'BAD' } })).rejects.toMatchObject({
      code: 'ca-misconfigured',
    });
  });

  it.each([
    [1003, 'ca-misconfigured'],
    [2001, 'ca-misconfigured'],
    [5100, 'ca-misconfigured'],
    [5200, 'ca-misconfigured'],
    [5400, 'ca-misconfigured'],
    [11000, 'ca-unavailable'],
  ])('says who must act on error %i: %s', async (code, expected) => {
    const { authority, context } = await setUp();
    const order = await newOrder(context, 'ec');
    const errors = [{ code, message: 'as it happens' }];
    server.misspeak(/\/sign$/, { status: 400, body: { success: false, result: null, errors } });
    await expect(authority.issue(order, never)).rejects.toMatchObject({
      code: expected,
      message: expect.stringContaining('as it happens'),
    });
  });

  it.each([5300, 5500, 9002])('takes error %i for a decision against the request', async (code) => {
    const { authority, context } = await setUp();
    const order = await newOrder(context, 'ec');
    const errors = [{ code, message: 'no' }];
    server.misspeak(/\/sign$/, { status: 400, body: { success: false, result: null, errors } });
    expect((await authority.issue(order, never)).kind).toBe('rejected');
  });

  it('says that a certificate is not in the database, having looked under both of its names', async () => {
    const { authority } = await setUp({ revoke: true });
    const other = await cfsslHarness();
    const stranger = await other.connect();
    const context = { authority: stranger, harness: other, connect: other.connect };
    const answer = await stranger.issue(await newOrder(context, 'ec'), never);
    if (answer.kind !== 'issued') throw new Error(answer.kind);
    await expect(authority.revoke?.(answer.certificate, 'superseded', never)).rejects.toMatchObject(
      {
        code: 'ca-misconfigured',
        message: expect.stringContaining('11200'),
      },
    );
    expect(server.calls).toHaveLength(2);
    await other[Symbol.asyncDispose]();
  });

  it('refuses nobody for a path that is not there', async () => {
    const { authority, context } = await setUp();
    const order = await newOrder(context, 'ec');
    server.misspeak(/\/sign$/, { status: 404 });
    await expect(authority.issue(order, never)).rejects.toMatchObject({ code: 'ca-misconfigured' });
    server.misspeak(/\/sign$/, { status: 200, body: '<html>' });
    await expect(authority.issue(order, never)).rejects.toMatchObject({ code: 'ca-bad-answer' });
    server.misspeak(/\/sign$/, { status: 200, body: 'x'.repeat(2 ** 21) });
    await expect(authority.issue(order, never)).rejects.toMatchObject({ code: 'ca-bad-answer' });
  });
});
