import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import stepCa from '../../adapters/step-ca/step-ca.ts';
import type { AdapterHarness } from '../../conformance/harness.ts';
import { newOrder } from '../../conformance/order.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { describeAdapter } from '../adapters/contract.ts';
import { stepCaDecidesAtOnce } from '../adapters/step-ca-harness.ts';
import { connectContext } from '../support/connect-context.ts';
import { requirePeer } from '../support/peer.ts';
import { realServerHooks } from './real-server-hooks.ts';
import {
  findStepCa,
  howToGetStepCa,
  type StepCaServer,
  startStepCa,
  stepPassword,
  stepProvisioner,
} from './step-ca-server.ts';

const there = await requirePeer('step-ca', findStepCa, howToGetStepCa);
const never = new AbortController().signal;

function harnessOver(server: StepCaServer, more: Record<string, unknown> = {}): AdapterHarness {
  const env = { KEY: server.encryptedKey, PLAIN: server.key, PASSWORD: stepPassword };
  const context = connectContext(server.directory, { env });
  const options = stepCa.options.parse({
    url: server.url,
    provisioner: stepProvisioner,
    key: { env: 'KEY' },
    keyPassword: { env: 'PASSWORD' },
    fingerprint: server.fingerprint,
    ...more,
  });
  return {
    connect: () => stepCa.connect(options, context, never),
    hooks: {
      ...realServerHooks(() => server.process),
      pendThenIssue: stepCaDecidesAtOnce,
      pendThenReject: stepCaDecidesAtOnce,
    },
    secrets: [stepPassword, String(JSON.parse(server.key).d)],
    roots: async () => [server.root],
    validityAsAsked: true,
    leftovers: async () => [],
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

describe.skipIf(!there)('step-ca 0.19', { timeout: 300_000 }, () => {
  describeAdapter('step-ca', async () => harnessOver(await startStepCa()));
});

describe.skipIf(!there)('step-ca 0.19 and the kind step-ca', () => {
  let server: StepCaServer;
  beforeEach(async () => {
    server = await startStepCa();
  }, 300_000);
  afterEach(() => server[Symbol.asyncDispose]());

  async function setUp(more: Record<string, unknown> = {}) {
    const harness = harnessOver(server, more);
    const authority = await harness.connect();
    return { authority, context: { authority, harness, connect: harness.connect } };
  }

  it('is trusted by a file as well as by a fingerprint, and not without either', async () => {
    const byFile = { fingerprint: undefined, tls: { caFile: server.rootFile } };
    await (await setUp(byFile)).authority.check(never);
    const { authority } = await setUp({ fingerprint: undefined });
    await expect(authority.check(never)).rejects.toMatchObject({ code: 'ca-misconfigured' });
    const stranger = await setUp({ fingerprint: 'ab'.repeat(32) });
    await expect(stranger.authority.check(never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
    });
  });

  it('certifies e-mail and URI names, the SID’s form among them, with a plain JWK', async () => {
    const { authority, context } = await setUp({ key: { env: 'PLAIN' }, keyPassword: undefined });
    const order = await newOrder(context, 'rsa', {
      subject: [[{ type: '2.5.4.3', value: 'someone@example.org' }]],
      subjectAltNames: [
        { type: 'email', value: 'someone@example.org' },
        { type: 'uri', value: 'tag:microsoft.com,2022-09-14:sid:S-1-5-21-1-2-3-1104' },
      ],
    });
    const answer = await authority.issue(order, never);
    if (answer.kind !== 'issued') throw new Error(answer.kind);
    expect(readCertificate(answer.certificate).subjectAltNames).toEqual(
      order.wanted.subjectAltNames,
    );
  });

  it('says how to mend a validity that is too long, and refuses nobody', async () => {
    const { authority, context } = await setUp();
    const order = await newOrder(context, 'ec', { validityDays: 800 });
    await expect(authority.issue(order, never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringContaining('maxTLSCertDuration'),
    });
  });

  it('does not know a provisioner of another name', async () => {
    const { authority, context } = await setUp({ provisioner: 'nobody' });
    const order = await newOrder(context, 'ec');
    await expect(authority.issue(order, never)).rejects.toMatchObject({ code: 'ca-misconfigured' });
  });
});
