import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import scep from '../../adapters/scep/scep.ts';
import type { AdapterHarness, NotSupported } from '../../conformance/harness.ts';
import { newOrder } from '../../conformance/order.ts';
import type { LoopbackProcess } from '../../simulator/peers/loopback-process.ts';
import {
  howToGetScepServer,
  scepServerIsThere,
  startScepServer,
} from '../../simulator/peers/scep-server.ts';
import type { CertificateAuthority } from '../../src/plug-in/certificate-authority.ts';
import type { KeyType } from '../../src/request/requested-certificate.ts';
import { Slots } from '../../src/time/slots.ts';
import { describeAdapter } from '../adapters/contract.ts';
import { connectContext } from '../support/connect-context.ts';
import { requirePeer } from '../support/peer.ts';
import { realServerHooks } from './real-server-hooks.ts';
import {
  buildTimeoutMs,
  builtStepCa,
  howToGetStepCa,
  startStepCa,
  stepCaCanBeBuilt,
} from './step-ca-scep-server.ts';

const never = new AbortController().signal;
const hasMicromdm = await requirePeer(
  'micromdm’s scepserver',
  scepServerIsThere,
  howToGetScepServer,
);

const hasStepCa = await requirePeer('step-ca', stepCaCanBeBuilt, howToGetStepCa);

const validityAsAsked: NotSupported = {
  notSupported: 'A SCEP request cannot ask for a validity: the CA’s settings decide.',
};

interface Peer {
  readonly url: string;
  readonly challenge: string;
  /** DER; of GetCACert. */
  readonly ca: Uint8Array;
}

function connectTo(peer: Peer, options: object = {}): Promise<CertificateAuthority> {
  const given = scep.options.parse({
    url: peer.url,
    caFingerprints: [new X509Certificate(peer.ca).fingerprint256],
    challenge: { env: 'CHALLENGE' },
    ...options,
  });
  const context = connectContext('/', { env: { CHALLENGE: peer.challenge } });
  return scep.connect(given, context, never);
}

/** What real servers of this kind have in common. */
function harnessOf(
  peer: Peer & LoopbackProcess,
  connect: () => Promise<CertificateAuthority>,
): Omit<AdapterHarness, 'roots'> {
  return {
    connect,
    hooks: realServerHooks(() => peer),
    secrets: [peer.challenge],
    validityAsAsked,
    // Go's X.509 takes these forms of names over from a CSR, and no other.
    wanted: {
      subjectAltNames: [
        { type: 'dns', value: 'device-5cd1234.example.org' },
        { type: 'email', value: 'someone@example.org' },
        { type: 'uri', value: 'urn:example:device:5cd1234' },
      ],
    },
    leftovers: async () => [],
    [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose](),
  };
}

async function micromdmHarness(): Promise<AdapterHarness> {
  const server = await startScepServer();
  // It copies the CSR's signature algorithm into the certificate, which its RSA key cannot make for EC.
  const connect = async () => oneAtATime(await connectTo(server, { keyTypes: ['rsa'] }));
  return { ...harnessOf(server, connect), roots: async () => [server.ca] };
}

async function stepCaHarness(): Promise<AdapterHarness> {
  const server = await startStepCa();
  const connect = () => connectTo(server);
  return { ...harnessOf(server, connect), roots: async () => [server.root] };
}

/** micromdm's depot of files fails when two orders write to it at once: `concurrency: 1` in config.yaml. */
function oneAtATime(authority: CertificateAuthority): CertificateAuthority {
  const slots = new Slots(1, 100);
  const issue: CertificateAuthority['issue'] = async (request, signal) => {
    const leave = await slots.enter(signal);
    try {
      return await authority.issue(request, signal);
    } finally {
      leave?.();
    }
  };
  return new Proxy(authority, {
    get(target, property) {
      if (property === 'issue') return issue;
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

describe.skipIf(!hasMicromdm)('micromdm’s scepserver', () => {
  describeAdapter('scep with micromdm', micromdmHarness);

  describe('what it does besides', () => {
    let server: Awaited<ReturnType<typeof startScepServer>>;
    beforeAll(async () => {
      server = await startScepServer();
    });
    afterAll(() => server[Symbol.asyncDispose]());

    it('rejects an order with a wrong challenge, and one with an EC key', async () => {
      await using wrong = await connectTo({ ...server, challenge: 'not the challenge' });
      expect(await wrong.issue(await orderOf(wrong, 'rsa'), never)).toMatchObject({
        kind: 'rejected',
        reason: expect.stringContaining('badRequest'),
      });
      await using right = await connectTo(server);
      expect(await right.issue(await orderOf(right, 'ec'), never)).toMatchObject({
        kind: 'rejected',
      });
      expect(await right.issue(await orderOf(right, 'rsa'), never)).toMatchObject({
        kind: 'issued',
      });
    });

    it('is not believed when it is not the CA that was pinned', async () => {
      const other = await startScepServer();
      await using _other = other;
      await using authority = await connectTo({ ...server, ca: other.ca });
      await expect(authority.check(never)).rejects.toMatchObject({ code: 'ca-misconfigured' });
      const order = await orderOf(authority, 'rsa');
      await expect(authority.issue(order, never)).rejects.toMatchObject({
        code: 'ca-misconfigured',
      });
    });
  });
});

describe.skipIf(!hasStepCa)('step-ca', () => {
  beforeAll(builtStepCa, buildTimeoutMs);
  describeAdapter('scep with step-ca', stepCaHarness);

  it('is understood in every content encryption that it can be set to, AES-GCM among them', async () => {
    await using server = await startStepCa();
    for (const number of [1, 2, 3, 4]) {
      await using authority = await connectTo({ ...server, url: `${server.url}${number}` });
      const order = await orderOf(authority, 'rsa');
      expect(await authority.issue(order, never)).toMatchObject({ kind: 'issued' });
    }
  });
});

function orderOf(authority: CertificateAuthority, keyType: KeyType) {
  return newOrder({ authority, harness: { wanted: {} } }, keyType);
}
