import { MemoryJournal } from '../../src/journal/memory-journal.ts';
import { describeJournal, stoppedClock } from './contract.ts';

describeJournal(
  'The memory journal',
  async () => {
    const { clock, advance } = stoppedClock();
    const journal = new MemoryJournal(clock);
    return { journal, clock, advance, [Symbol.asyncDispose]: async () => undefined };
  },
  // It is the model.
  { propertyRuns: 0 },
);
