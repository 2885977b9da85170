import { setTimeout as sleep } from 'node:timers/promises';
import type { QueryResultRow } from 'pg';
import type { Room } from '../request/room.ts';
import type { Clock } from '../time/clock.ts';
import type { AuthorityStanding, KeptStanding } from './authority-standing.ts';
import type {
  Closing,
  EntryChange,
  Journal,
  JournalSummary,
  LeasedEntry,
  Notification,
} from './journal.ts';
import { summaryOf } from './journal-summary.ts';
import type { PostgresClients } from './postgres-client.ts';
import { postgresJournalError } from './postgres-error.ts';
import { clientsFor, PostgresPool, type PostgresPoolOptions } from './postgres-pool.ts';
import { migratePostgres } from './postgres-schema.ts';
import * as statements from './postgres-statements.ts';
import { describePlace, readPostgresUrl } from './postgres-url.ts';
import { PostgresWake } from './postgres-wake.ts';
import { type Open, type Write, writeTogether } from './postgres-writes.ts';
import { Turnstile } from './waiting-lines.ts';
import { WriteQueue } from './write-queue.ts';

export interface PostgresJournalOptions extends PostgresPoolOptions {
  /** Only to translate between this instance's time and the database's, which decides. */
  readonly clock: Clock;
  /** Writes that may wait for the server; more are refused. */
  readonly mostWaiting?: number;
}

const farewellMs = 5_000;

/**
 * Opens the journal that several instances share. The database's clock decides about every lease and due
 * time, so an instance whose clock is wrong does no harm. Server restarts are survived: what was under way
 * fails with a {@link JournalError}, and the next call connects anew. A connection that breaks while a write
 * is under way leaves open whether it was written; the next visit reads what is there.
 *
 * @throws {JournalError} when the server cannot be reached, refuses us, or holds a newer version's journal.
 */
export async function openPostgresJournal(options: PostgresJournalOptions): Promise<Journal> {
  const place = readPostgresUrl(options.url);
  const where = describePlace(place);
  try {
    const clients = clientsFor(place, options);
    await migratePostgres(clients, where);
    return new PostgresJournal(where, clients, options);
  } catch (error) {
    throw postgresJournalError(error, 'opened', where);
  }
}

class PostgresJournal implements Journal {
  readonly #where: string;
  readonly #clock: Clock;
  readonly #pool: PostgresPool;
  readonly #wake: PostgresWake;
  readonly #queue: WriteQueue<Write>;
  readonly #turnstile = new Turnstile();
  #disposed: Promise<void> | undefined;

  constructor(where: string, clients: PostgresClients, options: PostgresJournalOptions) {
    this.#where = where;
    this.#clock = options.clock;
    this.#pool = new PostgresPool(clients, options);
    this.#wake = new PostgresWake(this.#pool, clients);
    this.#queue = new WriteQueue({
      mostWaiting: options.mostWaiting ?? 100_000,
      mostAtOnce: 200,
      // Without a rest several instances make more and smaller commits, at a third more CPU for each certificate.
      restFactor: 1,
      commit: (writes) => writeTogether(this.#pool, where, writes),
    });
  }

  async open(notification: Notification, signal: AbortSignal): Promise<'opened' | 'known'> {
    const { customer, processId: id } = notification;
    const write: Open = { kind: 'open', id, customer, answer: 'known' };
    await this.#queue.add(write, signal);
    if (write.answer === 'opened') this.#wake.tell(0);
    return write.answer;
  }

  async takeDue(
    instance: string,
    limit: number,
    leaseMs: number,
    signal: AbortSignal,
  ): Promise<readonly LeasedEntry[]> {
    interface Row {
      readonly id: string;
      readonly customer: string;
      readonly other_customers: string;
      readonly record: string;
      readonly fence: number;
      readonly age_ms: number;
    }
    const parameters = [instance, limit, leaseMs, this.#turnstile.reserve(limit)];
    const rows = await this.#read<Row>('take-due', statements.takeDue, parameters, signal);
    const now = this.#clock.now();
    return rows.map(({ id, customer, other_customers: others, record, fence, age_ms }) => ({
      processId: id,
      customer,
      ...(others === '' ? {} : { otherCustomers: others.split(' ') }),
      openedAt: now - age_ms,
      record: JSON.parse(record),
      fence,
    }));
  }

  async save(leased: LeasedEntry, change: EntryChange, signal: AbortSignal): Promise<void> {
    const { processId: id, fence } = leased;
    const { room, dueAt } = change;
    const record = JSON.stringify(change.record);
    const delayMs = dueAt === undefined ? null : Math.ceil(dueAt - this.#clock.now());
    const write = { kind: 'change', id, fence, record, room, delayMs } as const;
    await this.#queue.add({ ...write, outcome: null, code: null }, signal);
    if (delayMs !== null) this.#wake.tell(delayMs);
  }

  async close(leased: LeasedEntry, closing: Closing, signal: AbortSignal): Promise<void> {
    const { processId: id, fence } = leased;
    const { outcome, code = null } = closing;
    const record = JSON.stringify(closing.record);
    const write = { kind: 'change', id, fence, record, outcome, code } as const;
    await this.#queue.add({ ...write, room: null, delayMs: null }, signal);
  }

  async settleDue(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    try {
      await this.#pool.query('settle-due', statements.settleDue, []);
    } catch (error) {
      throw postgresJournalError(error, 'written', this.#where);
    }
  }

  async now(signal: AbortSignal): Promise<number | undefined> {
    const [row] = await this.#read<{ readonly now: number }>('now', statements.now, [], signal);
    return row?.now;
  }

  async nextDueAt(signal: AbortSignal): Promise<number | undefined> {
    interface Row {
      readonly delay_ms: number | null;
    }
    const [row] = await this.#read<Row>('next-due', statements.nextDue, [], signal);
    const delayMs = row?.delay_ms ?? undefined;
    return delayMs === undefined ? undefined : this.#clock.now() + delayMs;
  }

  async summary(signal: AbortSignal): Promise<JournalSummary> {
    interface Row {
      readonly room: string;
      readonly entries: number;
    }
    const rows = await this.#read<Row>('summary', statements.summary, [], signal);
    const tally = new Map(rows.map(({ room, entries }) => [room, entries]));
    return summaryOf(tally);
  }

  async prune(closedBefore: number, limit: number, signal: AbortSignal): Promise<number> {
    const ageMs = Math.floor(this.#clock.now() - closedBefore);
    const parameters = [ageMs, limit, Math.floor(closedBefore)];
    return this.#change('prune', statements.prune, parameters, signal);
  }

  async hasten(room: Room, signal: AbortSignal): Promise<void> {
    await this.#change('hasten', statements.hasten, [room], signal);
    this.#wake.tell(0);
  }

  async standing(authority: string, signal: AbortSignal): Promise<KeptStanding | undefined> {
    interface Row {
      readonly version: number;
      readonly standing: string;
    }
    const [row] = await this.#read<Row>('standing', statements.standing, [authority], signal);
    return row && { version: row.version, standing: JSON.parse(row.standing) };
  }

  async writeStanding(
    authority: string,
    standing: AuthorityStanding,
    version: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    const parameters = [authority, JSON.stringify(standing), version];
    const { writeStanding } = statements;
    return (await this.#change('write-standing', writeStanding, parameters, signal)) === 1;
  }

  async probe(signal: AbortSignal): Promise<void> {
    await this.#read('probe', statements.probe, [], signal);
  }

  onWake(listener: () => void): void {
    this.#wake.onWake(listener);
  }

  /** Writes what is queued, then gives its connections back. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    await this.#disposed;
  }

  async #dispose(): Promise<void> {
    await this.#queue.close();
    // A server that no longer answers does not answer a farewell either.
    const patience = sleep(farewellMs, undefined, { ref: false });
    await Promise.race([Promise.all([this.#wake.close(), this.#pool.close()]), patience]);
  }

  /** @returns how many rows it changed. */
  async #change(
    name: string,
    text: string,
    parameters: unknown[],
    signal: AbortSignal,
  ): Promise<number> {
    signal.throwIfAborted();
    try {
      return (await this.#pool.query(name, text, parameters)).rowCount ?? 0;
    } catch (error) {
      throw postgresJournalError(error, 'written', this.#where);
    }
  }

  async #read<Row extends QueryResultRow>(
    name: string,
    text: string,
    parameters: unknown[],
    signal: AbortSignal,
  ): Promise<readonly Row[]> {
    signal.throwIfAborted();
    try {
      return (await this.#pool.query<Row>(name, text, parameters)).rows;
    } catch (error) {
      throw postgresJournalError(error, 'read', this.#where);
    }
  }
}
