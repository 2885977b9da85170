import { findProcess } from './claim/find-process.ts';
import type { ProcessRecord, Verdict, VerdictFacts } from './journal/process-record.ts';
import type { House, Step, Visit } from './visit.ts';

/*
 * Twice before an ending. What Google says once may be a moment's mistake: of a replica that lags behind, of a
 * release that is rolled back an hour later. So a verdict that ends a process is written down when it is first
 * heard, and believed when it is heard again after a pause. On the good path nothing is asked that would not be
 * asked anyway; a crash in between finds the verdict in the record.
 */

/** How long after a verdict Google is asked again. */
export const verdictPauseMs = 15_000;

type Wait = Extract<Step, { kind: 'wait' }>;

/** Whether this verdict was heard before, long enough ago. */
export function isConfirmed(record: ProcessRecord, kind: Verdict, now: number): boolean {
  const { verdict } = record;
  return verdict?.kind === kind && now >= verdict.heardAt + verdictPauseMs;
}

/** What follows when a verdict is heard that is not confirmed: it is written down, and waited out. */
export function heard(record: ProcessRecord, kind: Verdict, now: number): Wait {
  const { verdict: before } = record;
  // One from the future was heard before the clock was set back: nobody knows how long ago.
  const stands = before?.kind === kind && before.heardAt <= now;
  const verdict = stands ? before : { kind, heardAt: now };
  const forMs = Math.max(0, verdict.heardAt + verdictPauseMs - now);
  return { kind: 'wait', record, forMs, verdict };
}

/**
 * The second look at a process that Google did not find: still not there, the error is thrown again, and
 * `afterTrouble` believes it. Found, the process goes on as if nothing had been said.
 */
export async function lookForGone(
  visit: Visit,
  house: House,
  verdict: VerdictFacts,
  signal: AbortSignal,
): Promise<Step> {
  const { record } = visit;
  const now = house.clock.now();
  if (now < verdict.heardAt + verdictPauseMs) return heard(record, verdict.kind, now);
  if (record.claim === undefined) await findProcess(visit, house, signal);
  else await house.api.get(visit.entry, signal);
  return { kind: 'onward', record };
}

/** The record after a step: what was heard before it is overcome, unless the step says that it still stands. */
export function settleVerdict(step: Step): Step {
  const { verdict: _overcome, ...record } = step.record;
  if (step.kind !== 'wait' || step.verdict === undefined) return { ...step, record };
  return { ...step, record: { ...record, verdict: step.verdict } };
}
