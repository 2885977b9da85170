import { describe, expect, it } from 'vitest';
import { windUp } from '../../src/deliver/wind-up.ts';
import { ProvisioningError } from '../../src/errors.ts';
import type { ProcessRecord } from '../../src/journal/process-record.ts';
import { done } from '../support/chosen-answers.ts';
import { ca, certificate, received } from '../support/sample-process.ts';
import { type VisitOptions, Visits } from '../support/visit.ts';

const hour = 3_600_000;
const der = certificate();
const ending = { outcome: 'gone', message: 'It has gone.', decidedAt: 1, decidedAge: 0 } as const;

function ended(changes: object = {}, bytes: Uint8Array = der): ProcessRecord {
  const record = received(bytes);
  return {
    ...record,
    issued: { ...record.issued, serialNumber: '0A', ...changes },
    ending,
  } as ProcessRecord;
}

async function windsUp(options: VisitOptions) {
  const visits = await Visits.begin({ record: ended(), ...options });
  const step = await visits.step(windUp);
  expect(visits.unasked).toEqual([]);
  expect(step).toMatchObject({ kind: 'end', outcome: 'gone', message: 'It has gone.' });
  return visits;
}

const down = new ProvisioningError('ca-unavailable', 'The CA is down.');

describe('a certificate that nobody gets', () => {
  it('is revoked once the ending is written, and operators hear of it', async () => {
    const visits = await windsUp({ ca: { revoke: [done] } });
    expect(visits.happened).toEqual(['write: nothing new', 'CA: revoke']);
    expect(visits.asked('CA: revoke')).toEqual([[Buffer.from(der), 'cessationOfOperation']]);
    expect(visits.orphans).toMatchObject([
      {
        processId: 'process-1',
        authority: 'ca',
        subject: { serialNumber: '5CD1234' },
        serialNumber: '0A',
        revoked: true,
      },
    ]);
  });

  it('is revoked as soon as the CA can be reached', async () => {
    const visits = await Visits.begin({ record: ended(), ca: { revoke: [down, done] } });
    await expect(visits.step(windUp)).rejects.toThrow(down);
    expect(visits.orphans).toEqual([]);
    await visits.crash();
    expect(await visits.step(windUp)).toMatchObject({ kind: 'end', outcome: 'gone' });
    expect(visits.orphans).toMatchObject([{ revoked: true }]);
  });

  it.each<[string, VisitOptions, RegExp]>([
    ['the CA cannot revoke', { features: { revoke: false } }, /cannot revoke/],
    [
      'the CA refuses for good',
      { ca: { revoke: [new ProvisioningError('ca-rejected', 'unknown serial')] } },
      /unknown serial/,
    ],
    [
      'the CA was down for limits.issuingHours',
      {
        record: { ...ended(), age: { ms: hour, at: Date.now(), restMs: 0 } },
        context: { issuingDeadlineMs: hour },
        ca: { revoke: [down] },
      },
      /The CA is down/,
    ],
    [
      'the device may hold it, for an upload’s answer was lost',
      { record: ended({ mayBeInUse: true }) },
      /its device may hold this/,
    ],
    [
      'what came is the CA’s own certificate',
      { record: ended({}, ca.issuing) },
      /led with a CA’s certificate/,
    ],
  ])('stays good, and operators are told which and why, where %s', async (_what, options, why) => {
    const visits = await windsUp(options);
    const message = expect.stringMatching(why);
    expect(visits.orphans).toMatchObject([{ revoked: false, serialNumber: '0A', message }]);
  });

  it('is the CA’s affair where it cannot be read: it is revoked all the same', async () => {
    const visits = await windsUp({
      record: ended({}, Buffer.from('garbage')),
      ca: { revoke: [done] },
    });
    expect(visits.asked('CA: revoke')).toEqual([[Buffer.from('garbage'), 'cessationOfOperation']]);
  });

  it('does not hide an error that nobody foresaw', async () => {
    const visits = await Visits.begin({
      record: ended(),
      ca: { revoke: [new TypeError('a slip')] },
    });
    await expect(visits.step(windUp)).rejects.toThrow(TypeError);
    expect(visits.orphans).toEqual([]);
  });
});
