import type { DatabaseSync, StatementSync } from 'node:sqlite';

/**
 * Statements prepared once. Parameters are bound by name, but for the five that every certificate needs several times: to look
 * up the names costs a quarter of what such a statement takes.
 */
const statements = {
  /** ?1 id, ?2 customer, ?3 now. */
  open: `INSERT INTO process (id, customer, room, available_at, lease_ms, fence, opened_at, record)
    VALUES (?1, ?2, 'claim', ?3, 0, 0, ?3, '{}') ON CONFLICT (id) DO NOTHING`,
  /** ?1 line, ?2 now, ?3 limit. */
  due: `SELECT seq FROM process
    WHERE closed_at IS NULL AND line = ?1 AND available_at <= ?2
    ORDER BY available_at, seq LIMIT ?3`,
  /** ?1 seq, ?2 end of the lease, ?3 its length in ms, ?4 instance. */
  lease: `UPDATE process SET available_at = ?2, lease_ms = ?3, leased_by = ?4, fence = fence + 1
    WHERE seq = ?1 RETURNING id, customer, other_customers, opened_at, fence, record`,
  /** ?1 id, ?2 fence, ?3 record, ?4 room, ?5 now, ?6 line, ?7 when it is due and ?8 for how long it rests, or null. */
  save: `UPDATE process
    SET record = ?3, room = ?4, available_at = coalesce(?7, ?5 + lease_ms),
      lease_ms = coalesce(?8, lease_ms), line = ?6, leased_by = CASE WHEN ?7 IS NULL THEN leased_by END
    WHERE id = ?1 AND fence = ?2 AND closed_at IS NULL`,
  /** ?1 id, ?2 fence, ?3 record, ?4 now, ?5 outcome, ?6 code. */
  close: `UPDATE process SET record = ?3, closed_at = ?4, outcome = ?5, code = ?6
    WHERE id = ?1 AND fence = ?2 AND closed_at IS NULL`,
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
