/*
 * What the author of a plug-in imports as `certprov/conformance`: the contract as tests, and the types of a
 * harness. It needs no test runner of its own.
 */

export { adapterHarness, type CaUnderTest } from './adapter-harness.ts';
export { describeAdapter, type TestRunner } from './describe-adapter.ts';
export type { AdapterHarness, Hook, Hooks, NotSupported } from './harness.ts';
