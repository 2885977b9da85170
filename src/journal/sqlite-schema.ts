import type { DatabaseSync } from 'node:sqlite';
import { JournalError } from './journal.ts';

/** "CPJ1": tells a journal from any other SQLite file. */
const applicationId = 0x43504a31;

/**
 * Step n brings a file from version n to n + 1. A step that was released never changes again.
 *
 * `available_at` is when the entry is due or, while it is leased, when the lease runs out: one index range
 * answers who may be taken. `lease_ms` is how long it was to be away, at rest or leased, when it was last
 * written. The record stands last, so that the columns before it are read without it.
 * The triggers keep `tally` exactly in step with every commit, so that a summary reads five rows.
 */
export const sqliteMigrations: readonly string[] = [
  `
  CREATE TABLE process (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    customer TEXT NOT NULL,
    room TEXT NOT NULL,
    available_at INTEGER NOT NULL,
    lease_ms INTEGER NOT NULL,
    leased_by TEXT,
    fence INTEGER NOT NULL,
    opened_at INTEGER NOT NULL,
    closed_at INTEGER,
    outcome TEXT,
    code TEXT,
    record TEXT NOT NULL
  ) STRICT;
  CREATE INDEX process_open ON process (available_at) WHERE closed_at IS NULL;
  CREATE INDEX process_closed ON process (closed_at) WHERE closed_at IS NOT NULL;

  CREATE TABLE tally (room TEXT PRIMARY KEY, entries INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO tally VALUES ('claim', 0), ('possession', 0), ('issue', 0), ('deliver', 0), ('closed', 0);
  CREATE TRIGGER process_opened AFTER INSERT ON process BEGIN
    UPDATE tally SET entries = entries + 1 WHERE room = new.room;
  END;
  CREATE TRIGGER process_moved AFTER UPDATE OF room ON process
  WHEN old.room <> new.room AND old.closed_at IS NULL BEGIN
    UPDATE tally SET entries = entries - 1 WHERE room = old.room;
    UPDATE tally SET entries = entries + 1 WHERE room = new.room;
  END;
  CREATE TRIGGER process_closed AFTER UPDATE OF closed_at ON process
  WHEN old.closed_at IS NULL AND new.closed_at IS NOT NULL BEGIN
    UPDATE tally SET entries = entries - 1 WHERE room = old.room;
    UPDATE tally SET entries = entries + 1 WHERE room = 'closed';
  END;
  CREATE TRIGGER process_pruned AFTER DELETE ON process WHEN old.closed_at IS NOT NULL BEGIN
    UPDATE tally SET entries = entries - 1 WHERE room = 'closed';
  END;
  `,
  // Two lines (waiting-lines.ts). 1: the entry rested for long, and stands in the patient one.
  `
  ALTER TABLE process ADD COLUMN patient INTEGER NOT NULL DEFAULT 0;
  DROP INDEX process_open;
  CREATE INDEX process_open ON process (patient, available_at) WHERE closed_at IS NULL;
  `,
  // Three lines: 0 fresh, 1 prompt, 2 patient.
  `
  ALTER TABLE process ADD COLUMN line INTEGER NOT NULL DEFAULT 0;
  UPDATE process SET line = 2 WHERE patient = 1 AND closed_at IS NULL;
  DROP INDEX process_open;
  CREATE INDEX process_open ON process (line, available_at) WHERE closed_at IS NULL;
  ALTER TABLE process DROP COLUMN patient;
  `,
  // Other customers that an unclaimed process was announced under, with a space between; a closed one may be reopened.
  `
  ALTER TABLE process ADD COLUMN other_customers TEXT NOT NULL DEFAULT '';
  CREATE TRIGGER process_reopened AFTER UPDATE OF closed_at ON process
  WHEN old.closed_at IS NOT NULL AND new.closed_at IS NULL BEGIN
    UPDATE tally SET entries = entries - 1 WHERE room = 'closed';
    UPDATE tally SET entries = entries + 1 WHERE room = new.room;
  END;
  `,
  // What is known about each authority (authority-standing.ts), as JSON.
  `
  CREATE TABLE standing (
    authority TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    standing TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
];

/**
 * Brings the file to the newest version, one transaction per step.
 *
 * @throws {JournalError} when the file is another program's, or was written by a newer version of this one.
 */
export function migrateSqlite(
  database: DatabaseSync,
  path: string,
  migrations: readonly string[] = sqliteMigrations,
): void {
  const version = readNumber(database, 'PRAGMA user_version');
  if (version === 0 && readNumber(database, 'SELECT count(*) FROM sqlite_schema') === 0) {
    database.exec(`PRAGMA application_id = ${applicationId}`);
  } else if (readNumber(database, 'PRAGMA application_id') !== applicationId) {
    throw new JournalError(
      `${path} is a SQLite database, but not a journal of this service. Point journal.path at another file.`,
    );
  }
  if (version > migrations.length) {
    throw new JournalError(
      `The journal ${path} has schema version ${version}; this version of the service knows ` +
        `${migrations.length}. Run the newer version again, or restore the backup from before the upgrade.`,
    );
  }
  for (const [index, step] of migrations.entries()) {
    if (index < version) continue;
    database.exec(`BEGIN IMMEDIATE; ${step}; PRAGMA user_version = ${index + 1}; COMMIT`);
  }
}

function readNumber(database: DatabaseSync, sql: string): number {
  const row = database.prepare(sql).get();
  const value = row === undefined ? undefined : Object.values(row)[0];
  return typeof value === 'number' ? value : 0;
}
