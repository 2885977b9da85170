import { describe, expect, it } from 'vitest';
import { aged } from '../../src/journal/age.ts';
import type { ProcessRecord } from '../../src/journal/process-record.ts';
import { lookForGone } from '../../src/visit/second-look.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { claimed } from '../support/sample-process.ts';
import { type Verb, Visits } from '../support/visit.ts';

const claim = { callerInstanceId: 'a', intendedAt: 1, claimedAt: 2 };
const hour = 3_600_000;

describe('the second look at a process that Google did not find', () => {
  it('is not taken before the pause is over', async () => {
    const visits = await Visits.begin({ record: claimed });
    const look: Verb = (visit, context, signal) =>
      lookForGone(visit, context, { kind: 'gone', heardAt: visits.clock.now() - 14_000 }, signal);
    expect(await visits.step(look)).toMatchObject({ kind: 'wait' });
    expect(visits.happened).toEqual([]);
  });

  it('closes what is found by each look and by no call, when it lasts as long as an authority may take', async () => {
    const api = { get: () => Promise.resolve({ name: 'x' }) };
    const entry = { customer: 'c', processId: 'p', openedAt: 0, record: {} };
    const deadline = { api, issuingDeadlineMs: 24 * hour };
    const look = (record: ProcessRecord, now: number) =>
      lookForGone(
        { entry, record },
        { ...deadline, clock: new ManualClock(now) },
        { kind: 'gone', heardAt: now - 400_000 },
        new AbortController().signal,
      );
    let record: ProcessRecord = aged({ claim }, 0, 0);
    let now = 0;
    for (let rounds = 0; rounds < 1_000; rounds += 1) {
      const step = await look(record, now);
      if (step.kind === 'end') break;
      record = aged(step.record, now, 315_000);
      now += 315_000;
    }
    expect(now / hour).toBeCloseTo(24, 0);
    // Half an hour in which it was not said, and it begins anew.
    const later = aged(record, now, 30 * 60_000);
    expect(await look(later, now + 30 * 60_000)).toMatchObject({
      kind: 'onward',
      record: { overruled: { times: 1 } },
    });
  });
});
