import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqliteJournal } from '../../src/journal/sqlite-journal.ts';
import { describeJournal, stoppedClock } from './contract.ts';

describeJournal(
  'The SQLite journal',
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'certprov-journal-'));
    const { clock, advance } = stoppedClock();
    const journal = await openSqliteJournal({ path: join(directory, 'journal.db'), clock });
    return {
      journal,
      clock,
      advance,
      async [Symbol.asyncDispose]() {
        await journal[Symbol.asyncDispose]();
        await rm(directory, { recursive: true });
      },
    };
  },
  { propertyRuns: 100 },
);
