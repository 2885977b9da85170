import { writeSync } from 'node:fs';
import { openSqliteJournal } from '../../src/journal/sqlite-journal.ts';
import { systemClock } from '../../src/time/clock.ts';

/*
 * A process to be killed: writes as fast as it can, and prints each id only when its write was acknowledged.
 * Its argument is the journal's path.
 */
const path = process.argv[2];
if (path === undefined) throw new Error('The argument is the journal’s path.');
const journal = await openSqliteJournal({ path, clock: systemClock });
const { signal } = new AbortController();

for (let round = 0; ; round += 1) {
  await Promise.all(
    Array.from({ length: 10 }, async (_, index) => {
      const processId = `${round}-${index}`;
      await journal.open({ customer: 'my_customer', processId }, signal);
      writeSync(1, `opened ${processId}\n`);
    }),
  );
  const taken = await journal.takeDue('one', 10, 600_000, signal);
  await Promise.all(
    taken.map(async (leased) => {
      const claim = { callerInstanceId: leased.processId, intendedAt: 1 };
      const dueAt = systemClock.now() + 600_000;
      await journal.save(leased, { record: { claim }, room: 'possession', dueAt }, signal);
      writeSync(1, `saved ${leased.processId}\n`);
    }),
  );
}
