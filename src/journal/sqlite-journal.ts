import { closeSync, fdatasync, openSync } from 'node:fs';
import { resolve } from 'node:path';
import { backup, type DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import type { Room } from '../request/room.ts';
import type { Clock } from '../time/clock.ts';
import { KeptFiles } from '../watch/kept-files.ts';
import type { AuthorityStanding, KeptStanding } from './authority-standing.ts';
import type {
  Closing,
  EntryChange,
  Journal,
  JournalSummary,
  LeasedEntry,
  Notification,
} from './journal.ts';
import { JournalError, LeaseLostError } from './journal.ts';
import { summaryOf } from './journal-summary.ts';
import { announceAgain } from './sqlite-announce.ts';
import { sqliteJournalError } from './sqlite-error.ts';
import { openSqliteFile } from './sqlite-file.ts';
import { leasedEntry, number, text } from './sqlite-row.ts';
import { prepareAll, type Statements } from './sqlite-statements.ts';
import { type Line, line, lineAfter, Turnstile } from './waiting-lines.ts';
import { WriteQueue } from './write-queue.ts';

export interface SqliteJournalOptions {
  /** The file; it is made when missing (0600), and so is its directory (0700). */
  readonly path: string;
  readonly clock: Clock;
  /** How long to wait for another process to let go of the file, in milliseconds. Blocks. */
  readonly busyTimeoutMs?: number;
  /** Writes that may wait for the disk; more are refused. */
  readonly mostWaiting?: number;
  /** The file never grows beyond this many pages of 4 KiB. Unlimited by default. */
  readonly mostPages?: number;
  /** Brings what was written to an open file onto the disk: fdatasync(2) by default. */
  readonly sync?: (file: number) => Promise<void>;
}

/**
 * Opens the journal of one instance in one file.
 *
 * @throws {JournalError} when the file cannot be made, read or written, is locked by another process, is
 * not a journal, or belongs to a newer version.
 */
export async function openSqliteJournal(options: SqliteJournalOptions): Promise<Journal> {
  const path = resolve(options.path);
  let database: DatabaseSync | undefined;
  try {
    database = openSqliteFile(path, options);
    return new SqliteJournal(database, path, options);
  } catch (error) {
    if (database?.isOpen === true) database.close();
    throw sqliteJournalError(error, 'opened', path);
  }
}

class SqliteJournal implements Journal {
  readonly #database: DatabaseSync;
  readonly #path: string;
  readonly #clock: Clock;
  readonly #run: Statements;
  readonly #announceAgain: ReturnType<typeof announceAgain>;
  readonly #queue: WriteQueue<() => void>;
  readonly #turnstile = new Turnstile();
  readonly #sync: (file: number) => Promise<void>;
  readonly #log: number;
  readonly #files: KeptFiles;
  /** Set when the log could not be brought onto the disk: nobody knows what of it is there. */
  #broken: JournalError | undefined;

  constructor(database: DatabaseSync, path: string, options: SqliteJournalOptions) {
    this.#database = database;
    this.#path = path;
    this.#clock = options.clock;
    this.#sync = options.sync ?? promisify(fdatasync);
    this.#run = prepareAll(database);
    this.#announceAgain = announceAgain(database);
    this.#run.takeOver.run({ now: this.#clock.now() });
    this.#log = openSync(`${path}-wal`, 'r');
    this.#files = new KeptFiles([path, `${path}-wal`]);
    this.#queue = new WriteQueue({
      mostWaiting: options.mostWaiting ?? 100_000,
      mostAtOnce: 500,
      restFactor: 1,
      commit: (writes) => this.#commit(writes),
    });
  }

  async open(notification: Notification, signal: AbortSignal): Promise<'opened' | 'known'> {
    const { customer, processId: id } = notification;
    let answer: 'opened' | 'known' = 'known';
    await this.#queue.add(() => {
      const now = this.#clock.now();
      const { changes } = this.#run.open.run(id, customer, now);
      answer = changes === 1 ? 'opened' : this.#announceAgain(notification, now);
    }, signal);
    return answer;
  }

  async takeDue(
    instance: string,
    limit: number,
    leaseMs: number,
    signal: AbortSignal,
  ): Promise<readonly LeasedEntry[]> {
    const taken: LeasedEntry[] = [];
    await this.#queue.add(() => {
      const now = this.#clock.now();
      const { due, lease } = this.#run;
      const takeFrom = (from: Line, most: number) => {
        if (most <= 0) return;
        for (const { seq = null } of due.all(from, now, most)) {
          taken.push(leasedEntry(lease.get(seq, now + leaseMs, leaseMs, instance)));
        }
      };
      takeFrom(line.patient, this.#turnstile.reserve(limit));
      for (const each of [line.prompt, line.fresh, line.patient]) {
        takeFrom(each, limit - taken.length);
      }
    }, signal);
    return taken;
  }

  async save(leased: LeasedEntry, change: EntryChange, signal: AbortSignal): Promise<void> {
    const { processId: id, fence } = leased;
    const { room } = change;
    const record = JSON.stringify(change.record);
    const dueAt = change.dueAt === undefined ? null : Math.ceil(change.dueAt);
    const restMs = dueAt === null ? null : Math.max(0, dueAt - Math.floor(this.#clock.now()));
    const next = lineAfter(restMs ?? undefined);
    await this.#queue.add(() => {
      const now = this.#clock.now();
      const { changes } = this.#run.save.run(id, fence, record, room, now, next, dueAt, restMs);
      if (changes === 0) throw new LeaseLostError(id);
    }, signal);
  }

  async close(leased: LeasedEntry, closing: Closing, signal: AbortSignal): Promise<void> {
    const { processId: id, fence } = leased;
    const { outcome, code = null } = closing;
    const record = JSON.stringify(closing.record);
    await this.#queue.add(() => {
      const now = this.#clock.now();
      const { changes } = this.#run.close.run(id, fence, record, now, outcome, code);
      if (changes === 0) throw new LeaseLostError(id);
    }, signal);
  }

  async settleDue(signal: AbortSignal): Promise<void> {
    await this.#queue.add(() => void this.#run.settle.run({ now: this.#clock.now() }), signal);
  }

  async now(): Promise<undefined> {
    return undefined;
  }

  async nextDueAt(signal: AbortSignal): Promise<number | undefined> {
    const at = this.#read(signal, () => this.#run.next.get()?.['at']);
    return typeof at === 'number' ? at : undefined;
  }

  async summary(signal: AbortSignal): Promise<JournalSummary> {
    const rows = this.#read(signal, () => this.#run.tally.all());
    const tally = new Map(rows.map((row) => [text(row, 'room'), number(row, 'entries')]));
    return summaryOf(tally);
  }

  async prune(closedBefore: number, limit: number, signal: AbortSignal): Promise<number> {
    let pruned = 0;
    await this.#queue.add(() => {
      pruned = Number(this.#run.prune.run({ closedBefore, limit }).changes);
    }, signal);
    return pruned;
  }

  /** The version is written once more: a page of the file, and a sync. */
  async probe(signal: AbortSignal): Promise<void> {
    await this.#queue.add(() => {
      const version = this.#database.prepare('PRAGMA user_version').get()?.['user_version'];
      this.#database.exec(`PRAGMA user_version = ${version}`);
    }, signal);
  }

  async hasten(room: Room, signal: AbortSignal): Promise<void> {
    await this.#queue.add(() => this.#run.hasten.run({ room, now: this.#clock.now() }), signal);
  }

  async standing(authority: string, signal: AbortSignal): Promise<KeptStanding | undefined> {
    const row = this.#read(signal, () => this.#run.standing.get({ authority }));
    return row && { version: number(row, 'version'), standing: JSON.parse(text(row, 'standing')) };
  }

  async writeStanding(
    authority: string,
    standing: AuthorityStanding,
    version: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    const write = { authority, version, standing: JSON.stringify(standing) };
    let isWritten = false;
    await this.#queue.add(() => {
      isWritten = this.#run.writeStanding.run(write).changes === 1;
    }, signal);
    return isWritten;
  }

  async backup(file: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    try {
      // Pages in small portions, on a thread; what is written meanwhile goes into the copy, too.
      await backup(this.#database, file, { progress: () => signal.throwIfAborted() });
    } catch (error) {
      signal.throwIfAborted();
      throw sqliteJournalError(error, 'copied', this.#path);
    }
  }

  /** Writes what is queued, then lets go of the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue.close();
    if (!this.#database.isOpen) return;
    this.#database.close();
    closeSync(this.#log);
  }

  async #commit(writes: readonly (() => void)[]): Promise<ReadonlyMap<() => void, unknown>> {
    if (this.#broken !== undefined) throw this.#broken;
    const failed = this.#transact(writes);
    try {
      await this.#sync(this.#log);
    } catch (error) {
      // The kernel tells of such a failure once; a later success would prove nothing about these writes.
      const { message } = sqliteJournalError(error, 'brought onto the disk', this.#path);
      this.#broken = new JournalError(`${message} Mend that, then restart the service.`, {
        cause: error,
      });
      throw this.#broken;
    }
    // What was written to a file that nobody will find again is not written.
    const lost = this.#files.problem();
    if (lost !== undefined) throw new JournalError(`The journal cannot be written: ${lost}`);
    return failed;
  }

  #transact(writes: readonly (() => void)[]): ReadonlyMap<() => void, unknown> {
    const failed = new Map<() => void, unknown>();
    try {
      // Only after a rollback that failed.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      this.#database.exec('BEGIN IMMEDIATE');
      for (const write of writes) {
        try {
          write();
        } catch (error) {
          // A full or broken disk makes SQLite give up the whole transaction: then nothing is written.
          if (!this.#database.isTransaction) throw error;
          failed.set(write, error instanceof LeaseLostError ? error : this.#error(error));
        }
      }
      this.#database.exec('COMMIT');
      return failed;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw this.#error(error);
    }
  }

  #read<Result>(signal: AbortSignal, read: () => Result): Result {
    signal.throwIfAborted();
    if (!this.#database.isOpen) throw new JournalError('The journal is closed.');
    try {
      return read();
    } catch (error) {
      throw sqliteJournalError(error, 'read', this.#path);
    }
  }

  #error(error: unknown): JournalError {
    return sqliteJournalError(error, 'written', this.#path);
  }
}
