import { describe, expect, it } from 'vitest';
import { claim } from '../../src/claim/claim.ts';
import { done } from '../support/chosen-answers.ts';
import { google, wifi } from '../support/sample-process.ts';
import { Visits } from '../support/visit.ts';

const hour = 3_600_000;

describe('a process whose references are in no table', () => {
  const elsewhere = google({ authority: 'cq' });

  it('is held unclaimed, with what was meant, for about an hour', async () => {
    const visits = await Visits.begin({ google: { get: [elsewhere] } });
    const told: string[] = [];
    visits.events.on('unmatched', ({ message }) => told.push(message));
    const step = await visits.step(claim);
    expect(step).toMatchObject({ kind: 'wait', record: { unmatched: { authority: 'cq' } } });
    expect(step.kind === 'wait' && step.forMs / hour).toBeCloseTo(0.875);
    expect(told).toEqual([expect.stringMatching(/no "cq".* Did you mean "ca"\? .*24 hours/)]);
    expect(visits.happened).toEqual(['Google: get']);
  });

  it('is not asked after again when it was looked at lately, say after a start', async () => {
    const visits = await Visits.begin({ google: { get: [elsewhere, google()], claim: [done] } });
    await visits.step(claim);
    await visits.rest(10_000);
    expect(await visits.step(claim)).toMatchObject({ kind: 'wait' });
    expect(visits.asked('Google: get')).toHaveLength(1);
    await visits.rest(hour);
    expect(await visits.step(claim)).toMatchObject({ kind: 'onward' });
  });

  it('is looked at at once when the reference has come into the table', async () => {
    const mistyped = google({ profile: { kind: 'generic', reference: 'wi-fi' } });
    const visits = await Visits.begin({ google: { get: [mistyped, mistyped], claim: [done] } });
    const held = await visits.step(claim);
    expect(held).toMatchObject({ record: { unmatched: { profile: 'wi-fi' } } });
    visits.reconfigure({ profiles: new Map([['wi-fi', wifi]]) });
    await visits.rest(1_000);
    const step = await visits.step(claim);
    expect(step).toMatchObject({ kind: 'onward', record: { request: { authority: 'ca' } } });
    expect(step.record).not.toHaveProperty('unmatched');
  });

  it('is claimed and refused after limits.unmatchedHours', async () => {
    const visits = await Visits.begin({
      google: { get: [elsewhere], claim: [done] },
      context: { unmatchedDeadlineMs: 0 },
    });
    const step = await visits.step(claim);
    expect(step.record).toMatchObject({ refusal: { code: 'authority-unknown' } });
  });

  it.each([
    ['refuse', 'onward', ['Google: get', 'write: subject, refusal, claim', 'Google: claim']],
    ['ignore', 'end', ['Google: get']],
  ] as const)('is dealt with as the configuration says: %s', async (unmatched, kind, expected) => {
    const visits = await Visits.begin({
      google: { get: [elsewhere], ...(unmatched === 'refuse' ? { claim: [done] } : {}) },
      context: { unmatched },
    });
    const step = await visits.step(claim);
    expect(step.kind).toBe(kind);
    expect(visits.happened).toEqual(expected);
  });
});
