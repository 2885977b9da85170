import type { Events } from '../events/events.ts';
import type { Clock } from '../time/clock.ts';
import { type Journal, JournalError } from './journal.ts';

export interface JournalWatchOptions {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly events: Events;
}

/** How often the journal is asked to write something. */
const everyMs = 5_000;
/** A write takes milliseconds; one that has not come back by now tells of a server that is frozen or locked. */
const patienceMs = 3_000;

/**
 * Asks the journal to write something, again and again, and tells whether it can: with nothing due nobody else would find out
 * that the disk is full, and a server that does not answer keeps its callers waiting for longer than operators should wait
 * for the news. Ends with the signal; never rejects.
 */
export async function watchJournal(
  options: JournalWatchOptions,
  signal: AbortSignal,
): Promise<void> {
  const { journal, clock, events } = options;
  if (journal.probe === undefined) return;
  let isDown = false;
  const down = (problem: string) => {
    if (isDown) return;
    isDown = true;
    events.emit('journal', { up: false, problem });
  };
  while (!signal.aborted) {
    const answered = new AbortController();
    const late = clock.sleep(patienceMs, AbortSignal.any([signal, answered.signal])).then(
      () =>
        down(
          `It has not answered for ${patienceMs / 1_000} seconds: it is frozen, locked, or out of reach.`,
        ),
      () => undefined, // It answered, or the service stops.
    );
    try {
      await journal.probe(signal);
      if (isDown) events.emit('journal', { up: true });
      isDown = false;
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof JournalError) down(error.message);
      else events.emit('bug', { error });
    }
    answered.abort();
    await late;
    // An abort ends the wait, and with it the loop.
    await clock.sleep(everyMs, signal).catch(() => undefined);
  }
}
