import { join } from 'node:path';
import { openSqliteJournal } from '../../src/journal/sqlite-journal.ts';
import { memoryDirectory } from '../support/temporary-directory.ts';
import { describeJournal, stoppedClock } from './contract.ts';

describeJournal(
  'The SQLite journal',
  async () => {
    const directory = await memoryDirectory();
    const { clock, advance } = stoppedClock();
    const journal = await openSqliteJournal({ path: join(directory.path, 'journal.db'), clock });
    return {
      journal,
      clock,
      advance,
      async [Symbol.asyncDispose]() {
        await journal[Symbol.asyncDispose]();
        await directory[Symbol.asyncDispose]();
      },
    };
  },
  { propertyRuns: 100 },
);
