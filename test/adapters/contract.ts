import { describe, it } from 'vitest';
import { contractCases } from '../../src/conformance/cases.ts';
import { type AdapterHarness, runCase } from '../../src/conformance/harness.ts';

/** Runs the contract over one kind of CA. What it lacks is skipped, and the reporter prints the reason. */
export function describeAdapter(name: string, setUp: () => Promise<AdapterHarness>): void {
  describe(`${name} keeps the adapters' contract`, () => {
    for (const contractCase of contractCases) {
      it(contractCase.name, async (test) => {
        const lack = await runCase(contractCase, setUp);
        if (lack !== undefined) test.skip(lack);
      });
    }
  });
}
