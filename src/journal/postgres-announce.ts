import { mostOtherCustomersLength } from './journal.ts';

/**
 * What later notifications change about processes that are written down already; see `Journal.open`. $1, $2: ids and
 * customers, no id twice. A row comes back for each that was closed and is open again. The condition on the room
 * stands first: the records of all others need not be read.
 */
export const announceAgain = `
  WITH clock AS MATERIALIZED (SELECT certprov_now() AS now),
  again AS (SELECT * FROM unnest($1::text[], $2::text[]) AS a (id, customer)),
  reopened AS (
    UPDATE certprov_process AS p
    SET customer = again.customer, other_customers = '', room = 'claim', available_at = clock.now, line = 0,
      lease_ms = 0, leased_by = NULL, fence = fence + 1, opened_at = clock.now,
      closed_at = NULL, outcome = NULL, code = NULL
    FROM clock, again
    WHERE p.id = again.id AND p.outcome = 'gone'
      AND (p.record::json #>> '{claim,claimedAt}') IS NULL
    RETURNING p.id
  ),
  announced AS (
    UPDATE certprov_process AS p
    SET other_customers = trim(p.other_customers || ' ' || again.customer), available_at = clock.now,
      line = 0, leased_by = NULL, fence = fence + 1
    FROM clock, again
    WHERE p.id = again.id AND p.room = 'claim' AND p.closed_at IS NULL AND p.customer <> again.customer
      AND strpos(' ' || p.other_customers || ' ', ' ' || again.customer || ' ') = 0
      AND length(p.other_customers) < ${mostOtherCustomersLength}
      AND (p.record::json -> 'claim') IS NULL
  )
  SELECT id FROM reopened`;
