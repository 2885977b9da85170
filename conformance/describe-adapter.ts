import { contractCases } from './cases.ts';
import type { AdapterHarness } from './harness.ts';
import { runCase } from './run-case.ts';

/** The two functions of a test runner that are needed: vitest's, or those of node:test. */
export interface TestRunner {
  describe(name: string, body: () => void): unknown;
  it(name: string, body: (test: TestInHand) => Promise<void>): unknown;
}

interface TestInHand {
  skip(reason?: string): void;
}

/**
 * Runs the contract over one kind of CA, a test for each case. What it lacks is skipped with its reason.
 * `setUp` makes a harness for each test; `runner` is `{ describe, it }` of the test runner.
 */
export function describeAdapter(
  name: string,
  setUp: () => Promise<AdapterHarness>,
  { describe, it }: TestRunner,
): void {
  describe(`${name} keeps the adapters' contract`, () => {
    for (const contractCase of contractCases) {
      it(contractCase.name, async (test) => {
        const verdict = await runCase(contractCase, setUp);
        if (verdict.kind === 'not supported') test.skip(verdict.reason);
        if (verdict.kind !== 'failed') return;
        const [first, ...more] = verdict.breaches;
        if (more.length === 0) throw first;
        const messages = verdict.breaches.map(({ message }) => message);
        throw new AggregateError(verdict.breaches, messages.join('\n'));
      });
    }
  });
}
