import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import cfssl from '../../adapters/cfssl/cfssl.ts';
import type { AdapterHarness } from '../../conformance/harness.ts';
import { newOrder } from '../../conformance/order.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { readCertificates } from '../../src/x509/pem.ts';
import { cfsslDecidesAtOnce, profileDecidesValidity } from '../adapters/cfssl-harness.ts';
import { describeAdapter } from '../adapters/contract.ts';
import { connectContext } from '../support/connect-context.ts';
import { requirePeer } from '../support/peer.ts';
import { type CfsslServer, findCfssl, howToGetCfssl, startCfssl } from './cfssl-server.ts';
import { realServerHooks } from './real-server-hooks.ts';

const there = await requirePeer('cfssl', findCfssl, howToGetCfssl);
const never = new AbortController().signal;

function harnessOver(server: CfsslServer, more: Record<string, unknown> = {}): AdapterHarness {
  const context = connectContext(server.directory, { env: { AUTH_KEY: server.authKey } });
  const options = cfssl.options.parse({
    url: server.url,
    profile: 'locked',
    authKey: { env: 'AUTH_KEY' },
    expiryHours: 720,
    revoke: true,
    ...more,
  });
  return {
    connect: () => cfssl.connect(options, context, never),
    hooks: {
      ...realServerHooks(() => server.process),
      pendThenIssue: cfsslDecidesAtOnce,
      pendThenReject: cfsslDecidesAtOnce,
    },
    secrets: [server.authKey],
    roots: async () => readCertificates(server.root),
    validityAsAsked: profileDecidesValidity,
    leftovers: async () => [],
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

describe.skipIf(!there)('cfssl 1.2', () => {
  describeAdapter('cfssl (authsign)', async () => harnessOver(await startCfssl()));
});

describe.skipIf(!there)('cfssl 1.2 and the kind cfssl', () => {
  let server: CfsslServer;
  let harness: AdapterHarness;
  beforeEach(async () => {
    server = await startCfssl();
  });
  afterEach(() => harness[Symbol.asyncDispose]());

  async function setUp(more: Record<string, unknown>) {
    harness = harnessOver(server, more);
    const authority = await harness.connect();
    return { authority, context: { authority, harness, connect: harness.connect } };
  }

  it('signs without a key under a profile that has none', async () => {
    const { authority, context } = await setUp({ profile: 'open', authKey: undefined });
    expect((await authority.issue(await newOrder(context, 'ec'), never)).kind).toBe('issued');
  });

  it('is not believed about a profile that it does not know', async () => {
    const { authority, context } = await setUp({ profile: 'opne', authKey: undefined });
    const issued = authority.issue(await newOrder(context, 'ec'), never);
    await expect(issued).rejects.toMatchObject({ code: 'ca-misconfigured' });
  });

  it('refuses an order without the key of its profile, or with another', async () => {
    const without = await setUp({ authKey: undefined });
    const order = await newOrder(without.context, 'ec');
    await expect(without.authority.issue(order, never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringContaining('authentication required'),
    });
    const context = connectContext(server.directory, { env: { OTHER: '00' } });
    const options = { url: server.url, profile: 'locked', authKey: { env: 'OTHER' } };
    const other = await cfssl.connect(cfssl.options.parse(options), context, never);
    await expect(other.issue(order, never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringContaining('invalid token'),
    });
  });

  it('decides against a name that its profile’s whitelist lacks', async () => {
    const { authority, context } = await setUp({ profile: 'narrow', authKey: undefined });
    const answer = await authority.issue(await newOrder(context, 'ec'), never);
    expect(answer).toMatchObject({ kind: 'rejected', reason: expect.stringContaining('5500') });
  });

  it('takes names that are sent beside the CSR', async () => {
    const { authority, context } = await setUp({ names: 'request' });
    const order = await newOrder(context, 'rsa', {
      subject: [[{ type: '2.5.4.10', value: 'Example' }], [{ type: '2.5.4.3', value: 'device 1' }]],
      subjectAltNames: [
        { type: 'dns', value: 'a.example.org' },
        { type: 'email', value: 'a@example.org' },
      ],
    });
    const answer = await authority.issue(order, never);
    if (answer.kind !== 'issued') throw new Error(answer.kind);
    const { subjectAltNames, subject } = readCertificate(answer.certificate);
    expect(subjectAltNames).toEqual(order.wanted.subjectAltNames);
    expect(subject.flat().map(({ value }) => value)).toEqual(['Example', 'device 1']);
  });

  it('writes a revocation into its database, and refuses one of a stranger’s certificate', async () => {
    const { authority, context } = await setUp({});
    const answer = await authority.issue(await newOrder(context, 'ec'), never);
    if (answer.kind !== 'issued') throw new Error(answer.kind);
    const serial = BigInt(`0x${readCertificate(answer.certificate).serialNumber}`).toString();
    expect(server.statusOf(serial)).toBe('good');
    await authority.revoke?.(answer.certificate, 'cessationOfOperation', never);
    expect(server.statusOf(serial)).toBe('revoked');
    const [root] = readCertificates(server.root);
    if (root === undefined) throw new Error('no root');
    await expect(authority.revoke?.(root, 'superseded', never)).rejects.toThrow(
      /cfssl|authority key/,
    );
  });
});
