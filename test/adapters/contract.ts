import { describe, it } from 'vitest';
import { describeAdapter as describeWith } from '../../conformance/describe-adapter.ts';
import type { AdapterHarness } from '../../conformance/harness.ts';

/** Runs the contract over one kind of CA; vitest's reporter prints why a case is skipped. */
export function describeAdapter(name: string, setUp: () => Promise<AdapterHarness>): void {
  describeWith(name, setUp, { describe, it });
}
