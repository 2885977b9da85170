import type { Client } from 'pg';
import { JournalError } from './journal.ts';
import type { PostgresClients } from './postgres-client.ts';

/** Any number, the same for every version: who migrates holds this advisory lock ("CPJ1"). */
const migrationLock = 0x43504a31;

/** A step may rewrite a large table, and another instance waits for it. */
const longestStepMs = 10 * 60_000;

/**
 * Step n brings a database from version n to n + 1. A step that was released never changes again.
 *
 * Times are milliseconds since the epoch by `certprov_now()`, the database's clock: the one clock that all
 * instances share. `available_at` is when the entry is due or, while it is leased, when the lease runs out;
 * `lease_ms` is how long it was to be away, at rest or leased, when it was last written.
 * The record is text, not jsonb, which would refuse characters that JSON allows.
 */
export const postgresMigrations: readonly string[] = [
  `
  CREATE FUNCTION certprov_now() RETURNS bigint LANGUAGE sql VOLATILE AS
    'SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint';

  CREATE TABLE certprov_process (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL UNIQUE,
    customer text NOT NULL,
    room text NOT NULL,
    available_at bigint NOT NULL,
    lease_ms bigint NOT NULL,
    leased_by text,
    fence bigint NOT NULL,
    opened_at bigint NOT NULL,
    closed_at bigint,
    outcome text,
    code text,
    record text NOT NULL
  ) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
  CREATE INDEX certprov_process_open ON certprov_process (available_at, seq) INCLUDE (room)
    WHERE closed_at IS NULL;
  CREATE INDEX certprov_process_closed ON certprov_process (closed_at, seq)
    WHERE closed_at IS NOT NULL;
  `,
  // Two lines (waiting-lines.ts): the entry rested for long, and stands in the patient one.
  `
  ALTER TABLE certprov_process ADD COLUMN patient boolean NOT NULL DEFAULT false;
  DROP INDEX certprov_process_open;
  CREATE INDEX certprov_process_open ON certprov_process (patient, available_at, seq) INCLUDE (room)
    WHERE closed_at IS NULL;
  `,
  // Three lines: 0 fresh, 1 prompt, 2 patient.
  `
  ALTER TABLE certprov_process ADD COLUMN line smallint NOT NULL DEFAULT 0;
  UPDATE certprov_process SET line = 2 WHERE patient AND closed_at IS NULL;
  DROP INDEX certprov_process_open;
  CREATE INDEX certprov_process_open ON certprov_process (line, available_at, seq) INCLUDE (room)
    WHERE closed_at IS NULL;
  ALTER TABLE certprov_process DROP COLUMN patient;
  `,
  // Other customers that an unclaimed process was announced under, with a space between.
  `
  ALTER TABLE certprov_process ADD COLUMN other_customers text NOT NULL DEFAULT '';
  `,
  // What is known about each authority (authority-standing.ts), as JSON.
  `
  CREATE TABLE certprov_standing (
    authority text PRIMARY KEY,
    version bigint NOT NULL,
    standing text NOT NULL
  );
  `,
];

/**
 * Brings the database to the newest version, in one transaction. Instances that start together wait for each
 * other. Rights to create are needed only when there is something to create.
 *
 * @throws {JournalError} when a newer version of the service wrote it.
 */
export async function migratePostgres(
  clients: PostgresClients,
  where: string,
  migrations: readonly string[] = postgresMigrations,
): Promise<void> {
  const client = new clients({ statementTimeoutMs: longestStepMs });
  // A connection that is lost fails the query that is under way; the event says the same again.
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query('BEGIN');
    // Held until the transaction ends, whichever way.
    await client.query('SELECT pg_advisory_xact_lock($1)', [migrationLock]);
    await migrateLocked(client, where, migrations);
    await client.query('COMMIT');
  } finally {
    await client.end();
  }
}

async function migrateLocked(
  client: Client,
  where: string,
  migrations: readonly string[],
): Promise<void> {
  const version = await readVersion(client);
  if (version > migrations.length) {
    throw new JournalError(
      `The journal ${where} has schema version ${version}; this version of the service knows ` +
        `${migrations.length}. Run the newer version again, or restore the backup from before the upgrade.`,
    );
  }
  if (version === migrations.length) return;
  if (version === 0) await client.query('CREATE TABLE certprov_schema (version integer NOT NULL)');
  else await client.query('DELETE FROM certprov_schema');
  for (const step of migrations.slice(version)) await client.query(step);
  await client.query('INSERT INTO certprov_schema VALUES ($1)', [migrations.length]);
}

/** 0 for an empty database. */
async function readVersion(client: Client): Promise<number> {
  const found = await client.query<{ there: boolean }>(
    "SELECT to_regclass('certprov_schema') IS NOT NULL AS there",
  );
  if (found.rows[0]?.there !== true) return 0;
  const rows = await client.query<{ version: number }>('SELECT version FROM certprov_schema');
  return rows.rows[0]?.version ?? 0;
}
