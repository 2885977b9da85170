import { ageOf } from '../journal/age.ts';
import type {
  OverruledFacts,
  ProcessRecord,
  Verdict,
  VerdictFacts,
} from '../journal/process-record.ts';
import { findProcess } from './find-process.ts';
import { end, type Step, type Visit, type VisitContext } from './visit.ts';

/*
 * Twice before an ending. What Google says once may be a moment's mistake: of a replica that lags behind, of a
 * release that is rolled back an hour later. So a verdict that ends a process is written down when it is first
 * heard, and believed when it is heard again after a pause. On the good path nothing is asked that would not be
 * asked anyway; a crash in between finds the verdict in the record.
 */

/** How long after a verdict Google is asked again. */
export const verdictPauseMs = 15_000;
/** The pause doubles up to this, while one method does not find what another finds. */
const longestVerdictPauseMs = 5 * 60_000;
/** After so long without it, a verdict that is overruled is the first again. */
const overruledApartMs = 4 * longestVerdictPauseMs;

type Wait = Extract<Step, { kind: 'wait' }>;

/** Whether this verdict was heard before, long enough ago. */
export function isConfirmed(record: ProcessRecord, kind: Verdict, now: number): boolean {
  const { verdict } = record;
  return verdict?.kind === kind && now >= verdict.heardAt + verdictPauseMs;
}

/** What follows when a verdict is heard that is not confirmed: it is written down, and waited out. */
export function heard(record: ProcessRecord, kind: Verdict, now: number): Wait {
  const { verdict: before } = record;
  // A verdict from the future was heard before the clock was set back: nobody knows how long ago.
  const stands = before?.kind === kind && before.heardAt <= now;
  const verdict = stands ? before : { kind, heardAt: now };
  const forMs = Math.max(0, verdict.heardAt + pauseMs(record) - now);
  return { kind: 'wait', record, forMs, verdict };
}

function pauseMs({ overruled }: ProcessRecord): number {
  return Math.min(longestVerdictPauseMs, verdictPauseMs * 2 ** Math.min(overruled?.times ?? 0, 10));
}

/**
 * The second look at a process that Google did not find. If it is still not there, the error is thrown again, and
 * `afterTrouble` believes it. If it is found, the process goes on as if nothing had been said. But if the next call
 * again does not find it, and so on for the time that an authority may take, nothing will come of it any more.
 */
export async function lookForGone(
  visit: Pick<Visit, 'entry' | 'record'>,
  context: Pick<VisitContext, 'clock' | 'issuingDeadlineMs'> & {
    api: Pick<VisitContext['api'], 'get'>;
  },
  verdict: VerdictFacts,
  signal: AbortSignal,
): Promise<Step> {
  const { record } = visit;
  const now = context.clock.now();
  if (now < verdict.heardAt + verdictPauseMs) return heard(record, verdict.kind, now);
  if (record.claim === undefined) await findProcess(visit, context, signal);
  else await context.api.get(visit.entry, signal);
  const overruled = overrule(record, now);
  if (overruled.lastAge - overruled.sinceAge >= context.issuingDeadlineMs) {
    const message = `Google finds the process, and has answered ${overruled.times} times that it does not to what was asked of it.`;
    return end(record, 'gone', message, 'google-not-found');
  }
  return { kind: 'onward', record: { ...record, overruled } };
}

function overrule(record: ProcessRecord, now: number): OverruledFacts {
  const lastAge = ageOf(record, now);
  const { overruled: before } = record;
  if (before === undefined || lastAge - before.lastAge > overruledApartMs) {
    return { times: 1, sinceAge: lastAge, lastAge };
  }
  return { times: before.times + 1, sinceAge: before.sinceAge, lastAge };
}

/** The record after a step: what was heard before it is overcome, unless the step says that it still stands. */
export function settleVerdict(step: Step): Step {
  const { verdict: _overcome, ...record } = step.record;
  if (step.kind !== 'wait' || step.verdict === undefined) return { ...step, record };
  return { ...step, record: { ...record, verdict: step.verdict } };
}
