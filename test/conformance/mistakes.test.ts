import { describe, expect, it } from 'vitest';
import { adapterHarness } from '../../conformance/adapter-harness.ts';
import { contractCases } from '../../conformance/cases.ts';
import { runCase } from '../../conformance/run-case.ts';
import myCaHarness from '../../examples/my-ca/harness.ts';
import wrongCa, { type Mistake } from './wrong-ca.ts';

/** The cases that fail, with what came and what mends it. */
async function failuresOf(mistakes: readonly Mistake[]) {
  const setUp = async () => {
    const ca = await myCaHarness();
    // What does not listen never ends: there is no need to wait for it for long.
    const promptMs = mistakes.includes('does not listen to its signal') ? 1_000 : 10_000;
    return adapterHarness(wrongCa, { ...ca, options: { ...ca.options, mistakes }, promptMs });
  };
  const failures: Record<string, { came: string; mend: string }> = {};
  for (const contractCase of contractCases) {
    const verdict = await runCase(contractCase, setUp);
    expect(verdict.kind, contractCase.name).not.toBe('not supported');
    if (verdict.kind !== 'failed') continue;
    const said = (part: 'came' | 'mend') => verdict.breaches.map((one) => one[part]).join(' ');
    failures[contractCase.name] = { came: said('came'), mend: said('mend') };
  }
  return failures;
}

/** A word of the sentence by which its author mends it. */
const mends: Readonly<Record<Mistake, string>> = {
  'certifies a key of its own': 'request.csr',
  'loses names': 'mayDrop',
  'orders twice': 'idempotency key',
  'does not listen to its signal': 'signal',
  'throws for a rejection': 'decided against this one',
  'tells its token': 'credentials',
  'keeps tickets to itself': 'into the ticket',
  'cannot revoke twice': 'already revoked',
};

const found: Readonly<Record<Mistake, Readonly<Record<string, RegExp>>>> = {
  'certifies a key of its own': {
    'certifies exactly the key of an order (RSA)': /certificate-wrong-key/,
    'returns a chain up to a root': /certificate-wrong-key/,
  },
  'loses names': {
    'certifies every name that is asked for, except what it may drop': /certificate-wrong-names/,
  },
  'orders twice': {
    'gives the same certificate for a repeated order, also at once and by another instance':
      /4 different certificates/,
  },
  'does not listen to its signal': {
    'does nothing when it is called with an aborted signal': /went through/,
    'rejects promptly with the signal’s reason when it is aborted, and leaves nothing behind':
      /did not end/,
    'keeps a deadline that its caller sets by the signal': /did not end/,
  },
  'throws for a rejection': {
    'says with a value, not an error, that an order was decided against': /Error: Not on the list/,
  },
  'tells its token': {
    'fails in passing with a code that makes the process wait, and then serves the order':
      /secret number 1/,
    'calls an answer that is no certificate by its name, and then serves the order':
      /secret number 1/,
  },
  'keeps tickets to itself': {
    'leaves an order pending and then gives its certificate, also to another instance':
      /There is no ticket/,
  },
  'cannot revoke twice': {
    'revokes, and takes a second revocation of the same certificate for done': /revoked already/,
  },
};

/** Together in one plug-in where none is in the way of another: every run is one over all the cases. */
const runs: readonly (readonly Mistake[])[] = [
  ['certifies a key of its own', 'orders twice', 'cannot revoke twice'],
  ['loses names', 'throws for a rejection', 'tells its token', 'keeps tickets to itself'],
  ['does not listen to its signal'],
];

describe('the contract finds each mistake in its own cases, and nothing else, of a plug-in that', () => {
  it.each(runs.map((mistakes) => [mistakes.join(', '), mistakes] as const))(
    '%s',
    async (_names, mistakes) => {
      const expected = mistakes.flatMap((mistake) =>
        Object.entries(found[mistake]).map(([name, came]) => [
          name,
          {
            came: expect.stringMatching(came),
            mend: expect.stringContaining(mends[mistake]),
          },
        ]),
      );
      expect(await failuresOf(mistakes)).toEqual(Object.fromEntries(expected));
    },
  );

  it('is shown for each mistake once', () => {
    const shown = runs.flat();
    expect(shown.toSorted()).toEqual(Object.keys(found).toSorted());
    const cases = shown.flatMap((mistake) => Object.keys(found[mistake]));
    expect(new Set(cases).size).toBe(cases.length);
  });
});
