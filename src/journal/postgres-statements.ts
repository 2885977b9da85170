import { type Line, line, longestPromptRestMs } from './waiting-lines.ts';

/*
 * What PostgresJournal says to the server. Every decision about due times and leases is made with
 * certprov_now(), read once per statement, so that a plan may use it as an index bound.
 */

/** The first that are due in a line, locked. Rows that another instance is just taking are passed over. */
const firstDue = (from: Line, limit: string) => `
    SELECT seq, available_at FROM certprov_process
    WHERE closed_at IS NULL AND line = ${from} AND available_at <= (SELECT now FROM clock)
    ORDER BY available_at, seq LIMIT ${limit} FOR UPDATE SKIP LOCKED`;

/**
 * $1 instance, $2 limit, $3 lease in ms, $4 how many of the limit are kept for the patient line. It gets whatever the
 * other two leave, and that is at least what was kept, the very same rows among it.
 */
export const takeDue = `
  WITH clock AS MATERIALIZED (SELECT certprov_now() AS now),
  reserved AS MATERIALIZED (${firstDue(line.patient, '$4')}
  ),
  prompt AS MATERIALIZED (${firstDue(line.prompt, '$2 - (SELECT count(*) FROM reserved)')}
  ),
  fresh AS MATERIALIZED (${firstDue(
    line.fresh,
    '$2 - (SELECT count(*) FROM reserved) - (SELECT count(*) FROM prompt)',
  )}
  ),
  patient AS MATERIALIZED (${firstDue(
    line.patient,
    '$2 - (SELECT count(*) FROM prompt) - (SELECT count(*) FROM fresh)',
  )}
  ),
  due AS (
    SELECT * FROM prompt UNION ALL SELECT * FROM fresh UNION ALL SELECT * FROM patient
  ),
  taken AS (
    UPDATE certprov_process AS p
    SET available_at = (SELECT now FROM clock) + $3::bigint, lease_ms = $3::bigint,
      leased_by = $1, fence = fence + 1
    FROM due WHERE p.seq = due.seq
    RETURNING p.id, p.customer, p.other_customers, p.record, p.fence::float8 AS fence,
      ((SELECT now FROM clock) - p.opened_at)::float8 AS age_ms, due.available_at, p.seq
  )
  SELECT id, customer, other_customers, record, fence, age_ms FROM taken ORDER BY available_at, seq`;

/**
 * Many writes in one statement, so in one round trip and one commit. No id may stand twice in it.
 * $1, $2: ids and customers to open. $3 to $9: ids, fences, records, rooms, delays in ms (null renews the
 * lease), outcomes (null does not close) and codes of saves and closes. A row comes back for each that was
 * opened or changed; a row that another instance has locked is waited for, and its fence read then.
 */
export const write = `
  WITH clock AS MATERIALIZED (SELECT certprov_now() AS now),
  opened AS (
    INSERT INTO certprov_process
      (id, customer, room, available_at, lease_ms, fence, opened_at, record)
    SELECT o.id, o.customer, 'claim', clock.now, 0, 0, clock.now, '{}'
    FROM clock, unnest($1::text[], $2::text[]) AS o (id, customer)
    ON CONFLICT (id) DO NOTHING RETURNING id
  ),
  changed AS (
    UPDATE certprov_process AS p
    SET record = w.record,
      room = coalesce(w.room, p.room),
      available_at = clock.now + coalesce(w.delay_ms, p.lease_ms),
      lease_ms = greatest(0, coalesce(w.delay_ms, p.lease_ms)),
      line = CASE WHEN w.delay_ms IS NULL THEN ${line.fresh}
        WHEN w.delay_ms > ${longestPromptRestMs} THEN ${line.patient} ELSE ${line.prompt} END,
      leased_by = CASE WHEN w.delay_ms IS NULL THEN p.leased_by END,
      closed_at = CASE WHEN w.outcome IS NOT NULL THEN clock.now END,
      outcome = w.outcome,
      code = w.code
    FROM clock, unnest($3::text[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::text[],
      $9::text[]) AS w (id, fence, record, room, delay_ms, outcome, code)
    WHERE p.id = w.id AND p.fence = w.fence AND p.closed_at IS NULL
    RETURNING p.id
  )
  SELECT 'open' AS kind, id FROM opened UNION ALL SELECT 'change', id FROM changed`;

/** Nobody is away for longer from now than was meant when it was written. */
export const settleDue = `
  UPDATE certprov_process SET available_at = clock.now + lease_ms
  FROM (SELECT certprov_now() AS now) AS clock
  WHERE closed_at IS NULL AND available_at > clock.now + lease_ms`;

export const now = 'SELECT certprov_now()::float8 AS now';

/** In how many ms the next open entry becomes due. */
export const nextDue = `
  SELECT (min(available_at) - certprov_now())::float8 AS delay_ms FROM (
    SELECT min(available_at) AS available_at FROM certprov_process
    WHERE closed_at IS NULL AND line = ${line.fresh}
    UNION ALL
    SELECT min(available_at) FROM certprov_process WHERE closed_at IS NULL AND line = ${line.prompt}
    UNION ALL
    SELECT min(available_at) FROM certprov_process WHERE closed_at IS NULL AND line = ${line.patient}
  ) AS lines`;

/** Both halves are answered from an index alone, as far as the table is vacuumed. */
export const summary = `
  SELECT room, count(*)::float8 AS entries FROM certprov_process
  WHERE closed_at IS NULL GROUP BY room
  UNION ALL
  SELECT 'closed', count(*)::float8 FROM certprov_process WHERE closed_at IS NOT NULL`;

/** $1 the room. */
export const hasten = `
  UPDATE certprov_process SET available_at = (SELECT certprov_now())
  WHERE closed_at IS NULL AND leased_by IS NULL AND room = $1
    AND available_at > (SELECT certprov_now())`;

/** $1 the authority's reference. */
export const standing =
  'SELECT version::float8 AS version, standing FROM certprov_standing WHERE authority = $1';

/** $1 the authority's reference, $2 the standing, $3 the version that it follows. A row comes back when it was written. */
export const writeStanding = `
  INSERT INTO certprov_standing AS s (authority, version, standing)
  SELECT $1, 1, $2 WHERE $3::bigint = 0
    OR EXISTS (SELECT 1 FROM certprov_standing WHERE authority = $1)
  ON CONFLICT (authority) DO UPDATE SET version = s.version + 1, standing = excluded.standing
  WHERE s.version = $3::bigint
  RETURNING authority`;

/**
 * $1 age in ms, $2 limit, $3 what lies that far back by the instance's clock. Both clocks must say that it is old: to a
 * server whose clock is a year ahead everything is.
 */
export const prune = `
  DELETE FROM certprov_process WHERE seq IN (
    SELECT seq FROM certprov_process
    WHERE closed_at IS NOT NULL
      AND closed_at < (SELECT least(certprov_now() - $1::bigint, $3::bigint))
    ORDER BY closed_at, seq LIMIT $2 FOR UPDATE SKIP LOCKED)`;

/** Takes the lock of every write and a transaction's number, which only a server that can write gives; changes nothing. */
export const probe = `
  WITH locked AS (UPDATE certprov_process SET fence = fence WHERE false RETURNING 1)
  SELECT txid_current() IS NOT NULL AS writable FROM (SELECT count(*) FROM locked) AS none`;
