import { describe, expect, it } from 'vitest';
import { DeviceKey } from '../../conformance/device-key.ts';
import { refusalGuard } from '../../simulator/world/refusal-guard.ts';
import { Authority } from '../../src/authority/authority.ts';
import { Events } from '../../src/events/events.ts';
import { order } from '../../src/issue/issue.ts';
import { LeaseLostError } from '../../src/journal/journal.ts';
import type { ProcessRecord } from '../../src/journal/process-record.ts';
import type {
  AuthorityFeatures,
  CertificateAuthority,
} from '../../src/plug-in/certificate-authority.ts';
import { systemClock } from '../../src/time/clock.ts';
import type { Visit, VisitContext } from '../../src/visit/visit.ts';

const never = new AbortController().signal;

/** A visit that is overtaken between the authority's answer and the note of it. Gives what was revoked. */
async function overtaken(features: Partial<AuthorityFeatures>): Promise<string[]> {
  const revoked: string[] = [];
  const adapter: CertificateAuthority = {
    kind: 'scripted',
    features: {
      idempotent: false,
      pending: false,
      revoke: true,
      keyTypes: ['rsa', 'ec'],
      mayDrop: [],
      ...features,
    },
    check: async () => undefined,
    issue: async () => ({ kind: 'issued', certificate: Buffer.from('certificate'), chain: [] }),
    collect: async () => ({ kind: 'rejected', reason: 'not asked for' }),
    revoke: async (certificate) => void revoked.push(Buffer.from(certificate).toString()),
    [Symbol.asyncDispose]: async () => undefined,
  };
  const common = { clock: systemClock, random: () => 0, events: new Events() };
  const authority = new Authority({
    reference: 'ca',
    adapter,
    roots: [],
    mayDrop: [],
    concurrency: 1,
    longestLine: 1,
    timeoutMs: 10_000,
    guard: refusalGuard(common),
    ...common,
  });
  const context: Pick<VisitContext, 'authorities' | keyof typeof common> = {
    authorities: new Map([['ca', authority]]),
    ...common,
  };
  const { subjectPublicKeyInfo } = new DeviceKey('ec');
  const record: ProcessRecord = {
    request: {
      keyType: 'ec',
      authority: 'ca',
      subject: { kind: 'device', serialNumber: '5CD1234' },
      subjectPublicKeyInfo: Buffer.from(subjectPublicKeyInfo).toString('base64'),
      wanted: {
        subject: [],
        subjectAltNames: [],
        keyUsages: [],
        extendedKeyUsages: [],
        validityDays: 1,
      },
    },
    csr: 'AA==',
  };
  const visit: Visit = {
    entry: { customer: 'c', processId: 'p', openedAt: 0, record } as Visit['entry'],
    record,
    async save({ issued }) {
      if (issued !== undefined) throw new LeaseLostError('p');
    },
    guard: () => undefined,
  };
  await expect(order(visit, context as VisitContext, never)).rejects.toThrow(LeaseLostError);
  return revoked;
}

describe('the certificate of an overtaken visit', () => {
  it('is revoked: the other visit has one of its own', async () => {
    expect(await overtaken({})).toEqual(['certificate']);
  });

  it.each([{ idempotent: true }, { findsEarlier: true }])(
    'stays good with %j: the other visit may have been given the same one',
    async (features) => {
      expect(await overtaken(features)).toEqual([]);
    },
  );
});
