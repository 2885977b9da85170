import type { Outcome, Room } from '../request/room.ts';
import { LeaseLostError } from './journal.ts';
import { announceAgain } from './postgres-announce.ts';
import { codeOf, postgresJournalError } from './postgres-error.ts';
import type { PostgresPool } from './postgres-pool.ts';
import { write as writeStatement } from './postgres-statements.ts';

export interface Open {
  readonly kind: 'open';
  readonly id: string;
  readonly customer: string;
  /** Set when it is written. */
  answer: 'opened' | 'known';
}

/** A save or a close. */
interface Change {
  readonly kind: 'change';
  readonly id: string;
  readonly fence: number;
  /** JSON. */
  readonly record: string;
  /** Null leaves it as it is. */
  readonly room: Room | null;
  /** From now until it is due; null renews the lease. */
  readonly delayMs: number | null;
  /** Null does not close. */
  readonly outcome: Outcome | null;
  readonly code: string | null;
}

export type Write = Open | Change;

/**
 * Carries out writes that came together, as few statements as it takes: one holds an id once only, so a
 * second write to the same entry goes into the next.
 *
 * @returns the error of each write that failed; it does not throw.
 */
export async function writeTogether(
  pool: PostgresPool,
  where: string,
  writes: readonly Write[],
): Promise<ReadonlyMap<Write, unknown>> {
  const failed = new Map<Write, unknown>();
  for (let waiting = writes; waiting.length > 0; ) {
    const round = new Map<string, Write>();
    const later: Write[] = [];
    for (const write of waiting) {
      if (round.has(keyOf(write))) later.push(write);
      else round.set(keyOf(write), write);
    }
    await writeRound(pool, where, [...round.values()], failed);
    waiting = later;
  }
  return failed;
}

async function writeRound(
  pool: PostgresPool,
  where: string,
  round: readonly Write[],
  failed: Map<Write, unknown>,
): Promise<void> {
  try {
    const done = await writeOnce(pool, round);
    const known = round.filter((write) => write.kind === 'open' && !done.has(keyOf(write)));
    const reopened = await reopen(pool, known as Open[]);
    for (const write of round) {
      const there = done.has(keyOf(write));
      if (write.kind === 'open')
        write.answer = there || reopened.has(write.id) ? 'opened' : 'known';
      else if (!there) failed.set(write, new LeaseLostError(write.id));
    }
  } catch (error) {
    // Class 22, data exception: a value that the server cannot take (NUL) must not fail its neighbours.
    if (round.length > 1 && codeOf(error)?.startsWith('22') === true) {
      for (const write of round) await writeRound(pool, where, [write], failed);
      return;
    }
    const failure = postgresJournalError(error, 'written', where);
    for (const write of round) failed.set(write, failure);
  }
}

/** @returns the ids of those that were closed and are open again. */
async function reopen(pool: PostgresPool, opens: readonly Open[]): Promise<ReadonlySet<string>> {
  if (opens.length === 0) return new Set();
  const sorted = opens.toSorted((one, other) => (one.id < other.id ? -1 : 1));
  const { rows } = await pool.query<{ id: string }>('announce-again', announceAgain, [
    sorted.map(({ id }) => id),
    sorted.map(({ customer }) => customer),
  ]);
  return new Set(rows.map(({ id }) => id));
}

/** @returns the key of each write that was carried out. */
async function writeOnce(
  pool: PostgresPool,
  round: readonly Write[],
): Promise<ReadonlySet<string>> {
  // Every instance writes in the order of the ids, so that two that share some do not wait in a ring.
  const sorted = round.toSorted((one, other) => (one.id < other.id ? -1 : 1));
  const opens = sorted.filter((write) => write.kind === 'open');
  const changes = sorted.filter((write) => write.kind === 'change');
  const { rows } = await pool.query<{ kind: Write['kind']; id: string }>('write', writeStatement, [
    opens.map(({ id }) => id),
    opens.map(({ customer }) => customer),
    changes.map(({ id }) => id),
    changes.map(({ fence }) => fence),
    changes.map(({ record }) => record),
    changes.map(({ room }) => room),
    changes.map(({ delayMs }) => delayMs),
    changes.map(({ outcome }) => outcome),
    changes.map(({ code }) => code),
  ]);
  return new Set(rows.map(keyOf));
}

function keyOf({ kind, id }: { readonly kind: Write['kind']; readonly id: string }): string {
  return `${kind} ${id}`;
}
