import myCaHarness from '../../examples/my-ca/harness.ts';
import type { CaUnderTest } from '../../src/conformance/adapter-harness.ts';

/** The example's CA. What does not listen to its signal never ends, so there is no need to wait long. */
export default async function harness(): Promise<CaUnderTest> {
  return { ...(await myCaHarness()), promptMs: 400 };
}
