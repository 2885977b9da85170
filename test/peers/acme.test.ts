import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import acme from '../../adapters/acme/acme.ts';
import type { AdapterHarness } from '../../conformance/harness.ts';
import { collected, newOrder } from '../../conformance/order.ts';
import { freePort } from '../../simulator/peers/free-port.ts';
import {
  externalAccount,
  findPebble,
  howToGetPebble,
  type PebbleServer,
  startPebble,
} from '../../simulator/peers/pebble-server.ts';
import type { Collected } from '../../src/plug-in/certificate-authority.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { formatName } from '../../src/x509/distinguished-name.ts';
import { readCertificates } from '../../src/x509/pem.ts';
import { acmeValidity } from '../adapters/acme-harness.ts';
import { describeAdapter } from '../adapters/contract.ts';
import { collectFrom } from '../support/collect-from.ts';
import { connectContext } from '../support/connect-context.ts';
import { requirePeer } from '../support/peer.ts';
import { realServerHooks } from './real-server-hooks.ts';
import { findStepCa, howToGetStepCa, startStepCa } from './step-ca-server.ts';

const there = await requirePeer('pebble', findPebble, howToGetPebble);
const stepThere = await requirePeer('step-ca', findStepCa, howToGetStepCa);
const never = new AbortController().signal;

function harnessOver(server: PebbleServer, more: Record<string, unknown> = {}): AdapterHarness {
  const context = connectContext(server.directory, { env: { HMAC: externalAccount.hmacKey } });
  const options = acme.options.parse({
    directoryUrl: server.directoryUrl,
    directory: './account',
    termsOfServiceAgreed: true,
    externalAccount: { keyId: externalAccount.keyId, hmacKey: { env: 'HMAC' } },
    challenge: { type: 'http-01', port: server.httpPort },
    tls: { caFile: server.tlsFile },
    ...more,
  });
  return {
    connect: () => acme.connect(options, context, never),
    hooks: { ...realServerHooks(() => server.process), pendThenIssue: async () => undefined },
    secrets: [externalAccount.hmacKey],
    roots: async () => readCertificates(await server.root()),
    validityAsAsked: acmeValidity,
    // pebble puts the first DNS name into the subject when the CSR has no common name among its names.
    wanted: {
      subject: [[{ type: '2.5.4.3', value: 'contract.example.org' }]],
      subjectAltNames: [
        { type: 'dns', value: 'contract.example.org' },
        { type: 'email', value: 'someone@example.org' },
        { type: 'uri', value: 'urn:example:device' },
      ],
    },
    leftovers: async () => [],
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function ticketOf(answer: Collected) {
  if (answer.kind !== 'pending') throw new Error(answer.kind);
  return answer.ticket;
}

describe.skipIf(!there)('pebble 2.4', () => {
  describeAdapter('acme with an external account and http-01', async () =>
    harnessOver(await startPebble({ bound: true })),
  );
});

describe.skipIf(!there)('pebble 2.4 and the kind acme', () => {
  let server: PebbleServer;
  beforeEach(async () => {
    server = await startPebble();
  });
  afterEach(() => server[Symbol.asyncDispose]());

  async function setUp(more: Record<string, unknown> = {}) {
    const harness = harnessOver(server, { externalAccount: undefined, ...more });
    const authority = await harness.connect();
    return { authority, context: { authority, harness, connect: harness.connect } };
  }

  it('takes dns-01 by a command, for several names', async () => {
    const hook = join(import.meta.dirname, '../adapters/commands/challtestsrv-hook.mjs');
    const command = [process.execPath, hook, server.dnsManagement];
    const { authority, context } = await setUp({ challenge: { type: 'dns-01', command } });
    const order = await newOrder(context, 'ec', {
      subjectAltNames: [
        { type: 'dns', value: 'contract.example.org' },
        { type: 'dns', value: 'second.example.org' },
      ],
    });
    const answer = await collected(authority, order, await authority.issue(order, never));
    if (answer.kind !== 'issued') throw new Error(answer.kind);
    const names = readCertificate(answer.certificate).subjectAltNames.map(({ value }) => value);
    expect(names.toSorted()).toEqual(['contract.example.org', 'second.example.org']);
  });

  it('drops everything but DNS names without a word', async () => {
    const { authority, context } = await setUp();
    const order = await newOrder(context, 'rsa', {
      subject: [
        [{ type: '2.5.4.10', value: 'Example' }],
        [{ type: '2.5.4.3', value: 'contract.example.org' }],
      ],
      subjectAltNames: [
        { type: 'dns', value: 'contract.example.org' },
        { type: 'uri', value: 'urn:example:device' },
        { type: 'email', value: 'someone@example.org' },
      ],
    });
    const answer = await collected(authority, order, await authority.issue(order, never));
    if (answer.kind !== 'issued') throw new Error(answer.kind);
    const { subject, subjectAltNames } = readCertificate(answer.certificate);
    expect(formatName(subject)).toBe('CN=contract.example.org');
    expect(subjectAltNames).toEqual([{ type: 'dns', value: 'contract.example.org' }]);
  });

  it('tells an order lost that the server forgot, and gets a new account and a new order there', async () => {
    const { authority, context } = await setUp();
    const order = await newOrder(context, 'ec');
    const first = await authority.issue(order, never);
    await server.restart();
    expect((await collectFrom(authority, ticketOf(first), order, never)).kind).toBe('lost');
    for (const next of [{ ...order, requestId: 'f'.repeat(32) }, await newOrder(context, 'rsa')]) {
      const answer = await collected(authority, next, await authority.issue(next, never));
      expect(answer.kind).toBe('issued');
    }
  });

  it('gives a crashed instance the certificate of the order that was saved', async () => {
    const { authority, context } = await setUp();
    const order = await newOrder(context, 'ec');
    const first = await authority.issue(order, never);
    const [one, other] = await Promise.all([
      collected(authority, order, first),
      collected(
        await context.connect(),
        order,
        await (await context.connect()).issue(order, never),
      ),
    ]);
    expect(one.kind).toBe('issued');
    expect(other).toEqual(one);
  });

  it('tells of a challenge that nobody answered, and then makes a new order', async () => {
    const { authority, context } = await setUp({
      challenge: { type: 'http-01', port: await freePort() },
    });
    const order = await newOrder(context, 'ec');
    const first = await authority.issue(order, never);
    await expect(collectFrom(authority, ticketOf(first), order, never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringMatching(
        /contract\.example\.org failed http-01 \((connection|unauthorized|dns)\)/,
      ),
      retryAfterMs: 30_000,
    });
    const second = await collectFrom(authority, ticketOf(first), order, never);
    expect(ticketOf(second)).not.toEqual(ticketOf(first));
  });

  it('wants the external account that it was told to want', async () => {
    await using bound = await startPebble({ bound: true });
    const harness = harnessOver(bound, { externalAccount: undefined });
    const authority = await harness.connect();
    const order = await newOrder({ authority, harness }, 'ec');
    await expect(authority.issue(order, never)).rejects.toMatchObject({ code: 'ca-misconfigured' });
  });
});

describe.skipIf(!stepThere)('step-ca 0.19 and the kind acme', () => {
  it('speaks ACME over the same certificates of trust', { timeout: 300_000 }, async () => {
    await using server = await startStepCa();
    const context = connectContext(server.directory);
    const options = acme.options.parse({
      directoryUrl: server.acmeDirectory,
      termsOfServiceAgreed: true,
      tls: { caFile: server.rootFile },
    });
    await using authority = await acme.connect(options, context, never);
    await authority.check(never);
    const harness = {} as AdapterHarness; // newOrder asks it only whether it wants other names.
    const order = await newOrder({ authority, harness }, 'ec');
    const first = await authority.issue(order, never);
    // It asks port 80 of the name, which no test may have: that it wants a challenge is as far as this goes.
    await expect(collectFrom(authority, ticketOf(first), order, never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringContaining('http-01'),
    });
  });
});
