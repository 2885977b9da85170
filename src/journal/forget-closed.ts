import type { Clock } from '../time/clock.ts';
import type { ClockTrust } from '../watch/clock-trust.ts';
import type { Journal } from './journal.ts';

export interface ForgettingOptions {
  readonly journal: Journal;
  /** How long closed processes stay. */
  readonly retentionMs: number;
  readonly clock: Clock;
  readonly trust: ClockTrust;
  onTrouble(error: unknown): void;
  readonly signal: AbortSignal;
}

/** Closed processes that are old enough go in small batches, now and then. */
const pruneEveryMs = 60 * 60_000;
const pruneBatch = 500;
const pruneBatchPauseMs = 1_000;

/** Closed processes stay for a while, as inventory and to answer why; then they go. Never rejects. */
export async function forgetClosed(options: ForgettingOptions): Promise<void> {
  const { journal, retentionMs, clock, trust, onTrouble, signal } = options;
  while (!signal.aborted) {
    try {
      // By a clock that is a year ahead everything is old.
      await trust.untilTrusted(signal);
      const closedBefore = clock.now() - retentionMs;
      const gone = await journal.prune(closedBefore, pruneBatch, signal);
      // A full batch means that there is more; the pause keeps it from getting in anyone's way.
      await clock.sleep(gone < pruneBatch ? pruneEveryMs : pruneBatchPauseMs, signal);
    } catch (error) {
      if (signal.aborted) return;
      onTrouble(error);
      await clock.sleep(pruneEveryMs, signal).catch(() => undefined);
    }
  }
}
