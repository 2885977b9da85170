import type { Events } from '../events/events.ts';
import type { Clock } from '../time/clock.ts';
import { type UpOrDown, watchForTrouble } from '../watch/watch-for-trouble.ts';
import { type Journal, JournalError } from './journal.ts';

export interface JournalWatchOptions {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly events: Events;
}

/** How often the journal is asked to write something. */
const everyMs = 5_000;
/** A write takes milliseconds; one that has not come back by now means that the server is frozen or locked. */
const patience = {
  ms: 3_000,
  problem: 'It has not answered for 3 seconds: it is frozen, locked, or out of reach.',
};

/**
 * Asks the journal to write something, again and again, and reports whether it can. With nothing due, nobody else
 * would find out that the disk is full, and a server that does not answer keeps its callers waiting for longer than
 * operators should wait for the news. Ends with the signal; never rejects.
 */
export async function watchJournal(
  { journal, clock, events }: JournalWatchOptions,
  signal: AbortSignal,
): Promise<void> {
  if (journal.probe === undefined) return;
  const probe = journal.probe.bind(journal);
  const look = async (until: AbortSignal) => {
    try {
      await probe(until);
      return undefined;
    } catch (error) {
      if (error instanceof JournalError) return error.message;
      throw error;
    }
  };
  const tell = (state: UpOrDown) => void events.emit('journal', state);
  const pauseMs = { up: everyMs, down: everyMs };
  await watchForTrouble({ look, tell, pauseMs, patience, clock, events }, signal);
}
