import { RefusalGuard } from '../../src/authority/refusal-guard.ts';
import { type ConfigurationMark, StandingBook } from '../../src/authority/standing-book.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { MemoryJournal } from '../../src/journal/memory-journal.ts';
import type { Clock, Random } from '../../src/time/clock.ts';

interface GuardOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly reference?: string;
  readonly store?: Pick<Journal, 'standing' | 'writeStanding'>;
  readonly mark?: ConfigurationMark;
  readonly rejectedDevices?: number;
}

/** A guard as a service has one, over a journal of its own where none is given. */
export function refusalGuard(options: GuardOptions): RefusalGuard {
  const { clock, random, reference = 'ca', rejectedDevices = 5 } = options;
  const { store = new MemoryJournal(clock), mark = markOf(() => 'the configuration') } = options;
  const book = new StandingBook({ reference, store, mark, clock });
  return new RefusalGuard({ reference, book, rejectedDevices, clock, random });
}

/** A configuration is told from another by a text. */
export function markOf(configuration: () => string): ConfigurationMark {
  return {
    make: async () => configuration(),
    matches: async (mark) => mark === configuration(),
  };
}
