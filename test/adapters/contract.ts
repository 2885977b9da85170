import { describe, it } from 'vitest';
import { contractCases } from '../../conformance/cases.ts';
import {
  describeAdapter as describeWith,
  type TestRunner,
} from '../../conformance/describe-adapter.ts';
import type { AdapterHarness } from '../../conformance/harness.ts';

/** Runs the contract over one kind of CA; vitest's reporter prints why a case is skipped. */
export function describeAdapter(name: string, setUp: () => Promise<AdapterHarness>): void {
  describeWith(name, setUp, { describe, it });
}

/** One case for each kind of message, and each way in which a CA says no. */
const messages: readonly string[] = [
  'passes its own check',
  'certifies exactly the key of an order (EC)',
  'gives the same certificate for a repeated order, also at once and by another instance',
  'leaves an order pending and then gives its certificate, also to another instance',
  'leaves an order pending and then rejects it',
  'says with a value, not an error, that an order was decided against',
  'fails in passing with a code that makes the process wait, and then serves the order',
  'calls an answer that is no certificate by its name, and then serves the order',
  'revokes, and takes a second revocation of the same certificate for done',
];

/** Another protection of the same messages: of the contract what they carry. The rest is shown over the first one. */
export function describeProtection(name: string, setUp: () => Promise<AdapterHarness>): void {
  const names = contractCases.map((contractCase) => contractCase.name);
  const unknown = messages.filter((message) => !names.includes(message));
  if (unknown.length > 0) throw new Error(`The contract has no case ${unknown.join(', ')}.`);
  const some: TestRunner['it'] = (title, body) => {
    if (messages.includes(title)) it(title, body);
  };
  describeWith(name, setUp, { describe, it: some });
}
