import { spawn } from 'node:child_process';
import { fstatSync } from 'node:fs';
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Journal, JournalError } from '../../src/journal/journal.ts';
import { openSqliteJournal } from '../../src/journal/sqlite-journal.ts';
import { migrateSqlite, sqliteMigrations } from '../../src/journal/sqlite-schema.ts';
import { notified, recordWith, stoppedClock } from './contract.ts';

const { signal } = new AbortController();
let directory: string;
let path: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'certprov-journal-'));
  path = join(directory, 'journal.db');
});
afterEach(() => rm(directory, { recursive: true }));

type Options = Partial<Parameters<typeof openSqliteJournal>[0]>;

function openJournal(options: Options = {}) {
  const { clock } = stoppedClock();
  return openSqliteJournal({ path, clock, busyTimeoutMs: 0, ...options });
}

async function modeOf(file: string): Promise<string> {
  return ((await stat(file)).mode & 0o777).toString(8);
}

describe('The SQLite journal’s file', () => {
  it('belongs to the service alone, and so do its directory and its write-ahead log', async () => {
    path = join(directory, 'deep', 'data', 'journal.db');
    await using journal = await openJournal();
    await journal.open(notified('a'), signal);
    expect(await modeOf(path)).toBe('600');
    expect(await modeOf(`${path}-wal`)).toBe('600');
    expect(await modeOf(join(directory, 'deep', 'data'))).toBe('700');
  });

  it('is closed to others when it was readable before', async () => {
    await writeFile(path, '', { mode: 0o644 });
    await using journal = await openJournal();
    await journal.open(notified('a'), signal);
    expect(await modeOf(path)).toBe('600');
  });

  it('leaves the mode of a directory alone that was there before', async () => {
    await chmod(directory, 0o755);
    await using _journal = await openJournal();
    expect(await modeOf(directory)).toBe('755');
  });

  it('answers a write only when the log is on the disk', async () => {
    const reached = Promise.withResolvers<number>();
    const synced = Promise.withResolvers<void>();
    const sync = (file: number) => {
      reached.resolve(file);
      return synced.promise;
    };
    await using journal = await openJournal({ sync });
    let answered = false;
    const opened = journal.open(notified('a'), signal).then((answer) => {
      answered = true;
      return answer;
    });
    const file = await reached.promise;
    expect(fstatSync(file).ino).toBe((await stat(`${path}-wal`)).ino);
    // The commit itself is done; only the disk is awaited.
    expect((await journal.summary(signal)).open.claim).toBe(1);
    expect(answered).toBe(false);
    synced.resolve();
    expect(await opened).toBe('opened');
  });

  it('takes nothing more once the log could not be brought onto the disk', async () => {
    const failure = Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' });
    let syncs = 0;
    const sync = async () => {
      syncs += 1;
      if (syncs === 2) throw failure;
    };
    await using journal = await openJournal({ sync });
    await journal.open(notified('a'), signal);
    const problem = /cannot be brought onto the disk: EIO.* then restart the service/;
    await expect(journal.open(notified('b'), signal)).rejects.toThrow(problem);
    await expect(journal.open(notified('c'), signal)).rejects.toThrow(problem);
    expect(syncs).toBe(2);
  });

  const moved = (name: string) => join(directory, `${name}.elsewhere`);
  it.each([
    ['the file is deleted', () => rm(path), /journal.db has vanished.*restore a backup/],
    ['the log is deleted', () => rm(`${path}-wal`), /journal.db-wal has vanished/],
    [
      'a copy takes its place',
      () => copyFile(path, moved('journal.db')).then(() => rename(moved('journal.db'), path)),
      /journal.db was replaced.*restart/,
    ],
  ])('acknowledges nothing more when %s under it', async (_what, lose, problem) => {
    await using journal = await openJournal();
    await journal.open(notified('kept'), signal);
    await lose();
    await expect(journal.open(notified('lost'), signal)).rejects.toThrow(problem);
    await expect(journal.probe?.(signal)).rejects.toThrow(JournalError);
  });

  it('goes on when a file that was moved away is back', async () => {
    await using journal = await openJournal();
    await rename(path, moved('journal.db'));
    await expect(journal.open(notified('a'), signal)).rejects.toThrow(/vanished/);
    await rename(moved('journal.db'), path);
    expect(await journal.open(notified('b'), signal)).toBe('opened');
    await journal.probe?.(signal);
  });

  it('keeps everything over a restart', async () => {
    await using first = await openJournal();
    await first.open(notified('a', 'C01'), signal);
    await first.open(notified('b'), signal);
    const [a, b] = await first.takeDue('one', 2, 0, signal);
    await first.save(a!, { record: recordWith('a'), room: 'issue', dueAt: 5 }, signal);
    await first.close(b!, { outcome: 'refused', code: 'x', record: {} }, signal);
    await first[Symbol.asyncDispose]();

    await using second = await openJournal();
    expect(await second.summary(signal)).toMatchObject({ open: { issue: 1 }, closed: 1 });
    expect(await second.nextDueAt(signal)).toBe(5);
    const taken = await second.takeDue('two', 5, 0, signal);
    expect(taken).toEqual([{ ...a, fence: 2, record: recordWith('a') }]);
    await second[Symbol.asyncDispose]();
  });

  it('writes what is queued before it closes', async () => {
    const first = await openJournal();
    const opened = Promise.all(
      Array.from({ length: 1_200 }, (_, index) => first.open(notified(`${index}`), signal)),
    );
    await first[Symbol.asyncDispose]();
    await opened;
    await using second = await openJournal();
    expect((await second.summary(signal)).open.claim).toBe(1_200);
  });

  it('is locked while its process lives, and holds every acknowledged write after it was killed', async () => {
    const script = new URL('./sqlite-writer.ts', import.meta.url).pathname;
    const child = spawn(process.execPath, [script, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    const acknowledged: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged.push(line);
      if (acknowledged.length === 500) {
        await expect(openJournal()).rejects.toThrow(/another process has it open/);
      }
      if (acknowledged.length === 1_000) child.kill('SIGKILL');
    }
    expect(acknowledged.length).toBeGreaterThanOrEqual(1_000);

    // The lock went with the process: nobody has to clean up.
    const { clock, advance } = stoppedClock();
    await using journal = await openSqliteJournal({ path, clock, busyTimeoutMs: 0 });
    await advance(10 * 365 * 86_400_000);
    const entries = await journal.takeDue('two', 1_000_000, 1, signal);
    const records = new Map(entries.map(({ processId, record }) => [processId, record]));
    for (const line of acknowledged) {
      const [what, id = ''] = line.split(' ');
      expect(records.has(id), line).toBe(true);
      if (what === 'saved') expect(records.get(id)).toEqual(recordWith(id));
    }
  });
});

describe('The SQLite journal refuses with a reason', () => {
  const refusal = async (pattern: RegExp) => {
    const attempt = openJournal();
    await expect(attempt).rejects.toMatchObject({ name: 'JournalError' });
    await expect(attempt).rejects.toThrow(pattern);
    await expect(attempt).rejects.toThrow(path);
  };

  it('a second instance on the same file, until the first has gone', async () => {
    const first = await openJournal();
    await refusal(/another process has it open.*journal\.kind: postgres/);
    await first[Symbol.asyncDispose]();
    await using second = await openJournal();
    expect(await second.open(notified('a'), signal)).toBe('opened');
  });

  it('a file that is not a database', async () => {
    await writeFile(path, 'no database at all, but long enough to be read as one'.repeat(100));
    await refusal(/not a SQLite database/);
  });

  it('a damaged file', async () => {
    const journal = await openJournal();
    await Promise.all(
      Array.from({ length: 200 }, (_, index) => journal.open(notified(`process-${index}`), signal)),
    );
    await journal[Symbol.asyncDispose]();
    const bytes = await readFile(path);
    await writeFile(path, bytes.fill(0xff, 100, 16_384));
    await refusal(/damaged.*\.recover/);
  });

  it('another program’s database, and leaves it as it was', async () => {
    using other = new DatabaseSync(path);
    other.exec('CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)');
    other.close();
    await refusal(/not a journal of this service/);
    using again = new DatabaseSync(path);
    expect(again.prepare('SELECT x FROM theirs').get()).toEqual({ x: 1 });
  });

  it('a journal of a newer version', async () => {
    const journal = await openJournal();
    await journal[Symbol.asyncDispose]();
    using newer = new DatabaseSync(path);
    newer.exec(`PRAGMA user_version = ${sqliteMigrations.length + 1}`);
    newer.close();
    const known = sqliteMigrations.length;
    await refusal(
      RegExp(`schema version ${known + 1}; this version of the service knows ${known}`),
    );
  });

  it('a directory in place of the file', async () => {
    await mkdir(path);
    await refusal(/is not a file/);
  });

  it('a file in place of the directory', async () => {
    await writeFile(join(directory, 'file'), '');
    path = join(directory, 'file', 'journal.db');
    await refusal(/a file, not a directory/);
  });

  it('a directory in which it may not write', async () => {
    await chmod(directory, 0o555);
    await asOrdinaryUser(() => refusal(/access is denied/));
  });

  it('a file that it may not write', async () => {
    await writeFile(path, '', { mode: 0o444 });
    await chmod(directory, 0o777);
    await asOrdinaryUser(() => refusal(/access is denied|not permitted/));
  });
});

/** Root may write everywhere: a test of rights needs somebody else. */
async function asOrdinaryUser(test: () => Promise<void>): Promise<void> {
  const nobody = 65_534;
  const root = process.geteuid?.() === 0;
  if (root) process.seteuid?.(nobody);
  try {
    await test();
  } finally {
    if (root) process.seteuid?.(0);
  }
}

describe('The SQLite journal on a full disk', () => {
  it('acknowledges nothing that it could not write, and goes on when there is room again', async () => {
    await using journal = await openJournal({ mostPages: 60 });
    const acknowledged = await fill(journal);
    expect(acknowledged.length).toBeGreaterThan(5);
    await expect(journal.open(notified('one-more'), signal)).resolves.toBe('opened');
    for (const id of acknowledged) expect(await journal.open(notified(id), signal)).toBe('known');
    expect((await journal.summary(signal)).open.claim).toBe(1);

    await journal.prune(Number.MAX_SAFE_INTEGER, 1_000, signal);
    expect((await fill(journal, 'again')).length).toBeGreaterThan(5);
  });

  /** Opens and closes processes with large records until the journal is full. */
  async function fill(journal: Journal, prefix = 'p'): Promise<string[]> {
    const acknowledged: string[] = [];
    const record = { csr: 'x'.repeat(10_000) };
    for (let index = 0; index < 1_000; index += 1) {
      const id = `${prefix}${index}`;
      await journal.open(notified(id), signal);
      const [entry] = await journal.takeDue('one', 1, 60_000, signal);
      try {
        await journal.close(entry!, { outcome: 'delivered', record }, signal);
      } catch (error) {
        expect(error).toMatchObject({ name: 'JournalError' });
        expect(String(error)).toMatch(/cannot be written: the disk is full/);
        await journal.close(entry!, { outcome: 'gone', record: {} }, signal);
        return acknowledged;
      }
      acknowledged.push(id);
    }
    throw new Error('The journal was never full.');
  }
});

describe('Migrations of the SQLite journal', () => {
  const next = 'ALTER TABLE process ADD COLUMN note TEXT';

  it('bring the version before up to date, and keep its entries', async () => {
    const journal = await openJournal();
    await journal.open(notified('a'), signal);
    await journal[Symbol.asyncDispose]();
    using database = new DatabaseSync(path);
    migrateSqlite(database, path, [...sqliteMigrations, next]);
    expect(database.prepare('PRAGMA user_version').get()).toEqual({
      user_version: sqliteMigrations.length + 1,
    });
    expect(database.prepare('SELECT id, note FROM process').all()).toEqual([
      { id: 'a', note: null },
    ]);
  });

  it('keep who rested for long behind the others, from before there were three lines', async () => {
    using database = new DatabaseSync(path);
    migrateSqlite(database, path, sqliteMigrations.slice(0, 2));
    const insert = database.prepare(
      `INSERT INTO process (id, customer, room, available_at, lease_ms, fence, opened_at, record, patient)
       VALUES (?, 'C01', 'possession', 1, 0, 1, 1, '{}', ?)`,
    );
    insert.run('rested', 1);
    insert.run('new', 0);
    database.close();
    await using journal = await openJournal();
    const take = async () => (await journal.takeDue('one', 1, 60_000, signal))[0]?.processId;
    expect([await take(), await take()]).toEqual(['new', 'rested']);
  });

  it('leave the file at the version before when a step fails', async () => {
    using database = new DatabaseSync(path);
    const failing = [...sqliteMigrations, `${next}; SELECT * FROM nowhere`];
    expect(() => migrateSqlite(database, path, failing)).toThrow(/nowhere/);
    database.close();
    await using journal = await openJournal();
    expect(await journal.open(notified('a'), signal)).toBe('opened');
  });
});
