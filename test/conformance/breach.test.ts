import { expect, it } from 'vitest';
import { breachOf } from '../../conformance/breach.ts';
import { LateError } from '../../conformance/within.ts';
import { ProvisioningError } from '../../src/errors.ts';
import { PlugInError } from '../../src/plug-in/checked-plug-in.ts';

const lesson = { expected: 'what the case expects.', mend: 'what the case teaches.' };
const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });

it.each<[string, unknown, string]>([
  ['too late', new LateError('it did not end within 60000 ms'), '--timeout SECONDS'],
  [
    'of a wrong form',
    new PlugInError('ca-bad-answer', 'issue() returned 1.'),
    'docs/develop/adapters.md says',
  ],
  ['a slip', new TypeError('x is not a function'), 'correct the code (breach.test.ts:'],
  [
    'a slip that the boundary saw',
    new PlugInError('ca-bad-answer', 'issue() threw.', { cause: new ReferenceError('x') }),
    'correct the code (breach.test.ts:',
  ],
  ['of the network', new TypeError('fetch failed', { cause: refused }), 'start the CA, or correct'],
  ['of a code', new ProvisioningError('certificate-wrong-key', 'x'), 'send request.csr to the CA'],
  ['anything else', new Error('Not on the list'), 'what the case teaches.'],
])('teaches by the kind of the breach: %s', (_what, error, mend) => {
  expect(breachOf(error, lesson, []).mend).toContain(mend);
});
