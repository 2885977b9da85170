import type { ProcessRecord } from './process-record.ts';

/*
 * A process's age is the time for which the service has really watched it, not the difference between two readings of
 * a clock. A clock that was set wrong for a while, and one that stood still, look just like a service that was down,
 * so none of the three counts against a device or an authority: nobody is refused for hours that never were. The
 * price is that a deadline passes later by as long as the service was down.
 */

/**
 * When there is a lot to do, an entry may be looked at this much later than it was due; anything beyond was not
 * watched.
 */
const longestDelayMs = 10 * 60_000;

/** In milliseconds. */
export function ageOf({ age }: ProcessRecord, now: number): number {
  if (age === undefined) return 0;
  const sinceMs = Math.max(0, now - age.at);
  return age.ms + Math.min(sinceMs, age.restMs + longestDelayMs);
}

/** The record of a process that is left alone for `restMs` from now on. */
export function aged(record: ProcessRecord, now: number, restMs: number): ProcessRecord {
  return { ...record, age: { ms: ageOf(record, now), at: now, restMs } };
}
