import { describe, expect, it } from 'vitest';
import { contractCases } from '../../conformance/cases.ts';
import type { AdapterHarness } from '../../conformance/harness.ts';
import { runCase } from '../../conformance/run-case.ts';
import type { CertificateAuthority, Issuance } from '../../src/plug-in/certificate-authority.ts';
import { execHarness } from '../adapters/exec-harness.ts';
import { localCaHarness } from '../adapters/local-ca-harness.ts';

/*
 * What test/conformance/mistakes.test.ts cannot show with the example’s CA.
 */

type Spoiler = (authority: CertificateAuthority) => Partial<CertificateAuthority>;

/** A right adapter with one mistake. */
function spoilt(right: () => Promise<AdapterHarness>, spoil: Spoiler) {
  return async (): Promise<AdapterHarness> => {
    const harness = await right();
    return {
      ...harness,
      async connect() {
        const authority = await harness.connect();
        const mistakes = spoil(authority);
        return new Proxy(authority, {
          get(target, property) {
            if (property in mistakes) return Reflect.get(mistakes, property);
            const value: unknown = Reflect.get(target, property, target);
            return typeof value === 'function' ? value.bind(target) : value;
          },
        });
      },
    };
  };
}

async function problemOf(name: string, setUp: () => Promise<AdapterHarness>): Promise<string> {
  const contractCase = contractCases.find((one) => one.name.includes(name));
  if (contractCase === undefined) throw new Error(`There is no case "${name}".`);
  const verdict = await runCase(contractCase, setUp);
  if (verdict.kind === 'failed') return verdict.breaches.join('\n');
  return verdict.kind === 'passed' ? 'passed' : `not supported: ${verdict.reason}`;
}

let first: Promise<Issuance> | undefined;

describe('the adapters’ contract finds an adapter that', () => {
  it.each<[string, string, () => Promise<AdapterHarness>, Spoiler, string]>([
    [
      'gives one order’s certificate for another',
      'without mixing them up',
      localCaHarness,
      (ca) => ({
        issue(order, signal) {
          first ??= ca.issue(order, signal);
          return first;
        },
      }),
      'another public key',
    ],
    [
      'gives another validity than asked for',
      'the validity that is asked for',
      localCaHarness,
      (ca) => ({
        issue: (order, signal) =>
          ca.issue({ ...order, wanted: { ...order.wanted, validityDays: 300 } }, signal),
      }),
      'instead of 30',
    ],
    [
      'leaves out its chain',
      'a chain up to a root',
      localCaHarness,
      (ca) => ({
        async issue(order, signal) {
          return { ...(await ca.issue(order, signal)), chain: [] } as Issuance;
        },
      }),
      'certificate-untrusted',
    ],
    [
      'leaves a process behind',
      'rejects promptly',
      execHarness,
      (ca) => ({
        async issue(order, signal) {
          void ca.issue(order, new AbortController().signal).catch(() => undefined);
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
          throw signal.reason;
        },
      }),
      'left behind',
    ],
  ])('%s', async (_what, name, right, spoil, expected) => {
    first = undefined;
    expect(await problemOf(name, spoilt(right, spoil))).toContain(expected);
  });

  it('and says why a case cannot be shown', async () => {
    const mute = spoilt(localCaHarness, (ca) => ({
      features: { ...ca.features, revoke: false, idempotent: false, keyTypes: ['rsa'] },
    }));
    expect(await problemOf('revokes', mute)).toContain('does not declare `revoke`');
    expect(await problemOf('repeated order', mute)).toContain('does not declare `idempotent`');
    expect(await problemOf('(EC)', mute)).toContain('keys of type ec');
  });
});
