import type { DatabaseSync, StatementSync } from 'node:sqlite';

/** Statements prepared once; `:name` parameters are bound by name. */
const statements = {
  open: `INSERT INTO process (id, customer, room, available_at, lease_ms, fence, opened_at, record)
    VALUES (:id, :customer, 'claim', :now, 0, 0, :now, '{}') ON CONFLICT (id) DO NOTHING`,
  due: `SELECT seq FROM process
    WHERE closed_at IS NULL AND line = :line AND available_at <= :now
    ORDER BY available_at, seq LIMIT :limit`,
  lease: `UPDATE process
    SET available_at = :leaseEnd, lease_ms = :leaseMs, leased_by = :instance, fence = fence + 1
    WHERE seq = :seq RETURNING id, customer, other_customers, opened_at, fence, record`,
  save: `UPDATE process
    SET record = :record, room = :room, available_at = coalesce(:dueAt, :now + lease_ms),
      lease_ms = coalesce(:restMs, lease_ms), line = :line, leased_by = CASE WHEN :dueAt IS NULL THEN leased_by END
    WHERE id = :id AND fence = :fence AND closed_at IS NULL`,
  close: `UPDATE process
    SET record = :record, closed_at = :now, outcome = :outcome, code = :code
    WHERE id = :id AND fence = :fence AND closed_at IS NULL`,
  settle: `UPDATE process SET available_at = :now + lease_ms
    WHERE closed_at IS NULL AND available_at > :now + lease_ms`,
  // Nobody else can hold a lease while we hold the file: what is leased at the start was left by a crash.
  takeOver: `UPDATE process SET available_at = :now, leased_by = NULL
    WHERE closed_at IS NULL AND leased_by IS NOT NULL`,
  next: `SELECT min(at) AS at FROM (
    SELECT min(available_at) AS at FROM process WHERE closed_at IS NULL AND line = 0
    UNION ALL SELECT min(available_at) FROM process WHERE closed_at IS NULL AND line = 1
    UNION ALL SELECT min(available_at) FROM process WHERE closed_at IS NULL AND line = 2)`,
  tally: 'SELECT room, entries FROM tally',
  prune: `DELETE FROM process WHERE seq IN (
    SELECT seq FROM process WHERE closed_at IS NOT NULL AND closed_at < :closedBefore
    ORDER BY closed_at, seq LIMIT :limit)`,
  // Nothing is to be waited for in that room any more, as far as nobody is there.
  hasten: `UPDATE process SET available_at = :now
    WHERE closed_at IS NULL AND leased_by IS NULL AND room = :room AND available_at > :now`,
  standing: 'SELECT version, standing FROM standing WHERE authority = :authority',
  writeStanding: `INSERT INTO standing (authority, version, standing)
    SELECT :authority, 1, :standing WHERE :version = 0
      OR EXISTS (SELECT 1 FROM standing WHERE authority = :authority)
    ON CONFLICT (authority) DO UPDATE
    SET version = standing.version + 1, standing = excluded.standing
    WHERE standing.version = :version`,
} as const;

export type Statements = { readonly [Name in keyof typeof statements]: StatementSync };

export function prepareAll(database: DatabaseSync): Statements {
  const prepared = Object.entries(statements).map(([name, sql]) => [name, database.prepare(sql)]);
  return Object.fromEntries(prepared) as Statements;
}
