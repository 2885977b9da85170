import { chmodSync, closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { JournalError } from './journal.ts';
import { migrateSqlite } from './sqlite-schema.ts';

/**
 * Opens or makes a journal's file and holds it: SQLite's exclusive locking mode keeps the lock for the life
 * of this process and gives it back even after kill -9; it also does without a shared-memory file.
 *
 * A write that the journal answered survives a power cut. SQLite would give that with synchronous=FULL, an
 * fdatasync of the write-ahead log inside each COMMIT, and the event loop would stand still meanwhile. So
 * it is told NORMAL, which leaves out just that, and the journal does the very same fdatasync beside the
 * event loop before it answers. docs/decisions/0008-durable-beside-the-loop.md
 */
export function openSqliteFile(
  path: string,
  options: { readonly busyTimeoutMs?: number; readonly mostPages?: number },
): DatabaseSync {
  makeFile(path);
  const database = new DatabaseSync(path, { timeout: options.busyTimeoutMs ?? 2_000 });
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE');
    database.exec('PRAGMA journal_mode = WAL');
    database.exec('PRAGMA synchronous = NORMAL');
    database.exec('PRAGMA cache_size = -4096');
    database.exec('PRAGMA journal_size_limit = 67108864');
    // A record is written several times within seconds: later checkpoints copy it fewer times.
    database.exec('PRAGMA wal_autocheckpoint = 4000');
    // A write transaction, even an empty one, takes the lock now rather than at the first notification.
    database.exec('BEGIN IMMEDIATE; COMMIT');
    migrateSqlite(database, path);
    if (options.mostPages !== undefined) {
      database.exec(`PRAGMA max_page_count = ${options.mostPages}`);
    }
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/**
 * SQLite would make the file with the process's umask; its -wal file takes over the mode it finds here. A file
 * that is there is not opened here: to close it would drop the POSIX lock that this process may have on it.
 */
function makeFile(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const there = statSync(path, { throwIfNoEntry: false });
  if (there === undefined) {
    closeSync(openSync(path, 'wx', 0o600));
  } else if (!there.isFile()) {
    throw new JournalError(`The journal ${path} cannot be opened: it is not a file.`);
  } else if ((there.mode & 0o777) !== 0o600) {
    chmodSync(path, 0o600);
  }
}
