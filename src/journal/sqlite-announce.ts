import type { DatabaseSync } from 'node:sqlite';
import { mostOtherCustomersLength, type Notification } from './journal.ts';

/** What a later notification changes; see {@link Journal.open}. At most one of the two finds its row. */
const statements = {
  reopen: `UPDATE process
    SET customer = :customer, other_customers = '', room = 'claim', available_at = :now, line = 0,
      lease_ms = 0, leased_by = NULL, fence = fence + 1, opened_at = :now,
      closed_at = NULL, outcome = NULL, code = NULL
    WHERE id = :id AND outcome = 'gone' AND json_extract(record, '$.claim.claimedAt') IS NULL`,
  announce: `UPDATE process
    SET other_customers = trim(other_customers || ' ' || :customer), available_at = :now, line = 0,
      leased_by = NULL, fence = fence + 1
    WHERE id = :id AND closed_at IS NULL AND customer <> :customer
      AND instr(' ' || other_customers || ' ', ' ' || :customer || ' ') = 0
      AND length(other_customers) < ${mostOtherCustomersLength}
      AND json_extract(record, '$.claim') IS NULL`,
} as const;

/** Takes note of a notification about a process that is written down already. Call it inside a transaction. */
export function announceAgain(database: DatabaseSync) {
  const reopen = database.prepare(statements.reopen);
  const announce = database.prepare(statements.announce);
  return ({ customer, processId: id }: Notification, now: number): 'opened' | 'known' => {
    if (reopen.run({ id, customer, now }).changes === 1) return 'opened';
    announce.run({ id, customer, now });
    return 'known';
  };
}
