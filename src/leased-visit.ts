import type { Clock } from './clock.ts';
import {
  type Closing,
  type Entry,
  type Journal,
  JournalError,
  type LeasedEntry,
  LeaseLostError,
} from './journal/journal.ts';
import type { ProcessRecord } from './journal/process-record.ts';
import { roomOf } from './lifecycle.ts';
import type { Visit } from './visit.ts';

export interface LeasedVisitOptions {
  readonly journal: Journal;
  readonly leased: LeasedEntry;
  readonly leaseMs: number;
  /** When the lease was asked for, by our own clock: it surely holds for leaseMs from then. */
  readonly takenAt: number;
  readonly clock: Clock;
}

/** A visit does what must not be done twice only while its lease holds for at least this long. */
const guardMarginMs = 2_000;

/**
 * A visit under its lease. Saving renews the lease; a step that lasts longer than a third of it is kept
 * under lease by a heartbeat. When the entry was taken over, the visit's signal is aborted.
 */
export class LeasedVisit implements Visit, AsyncDisposable {
  readonly entry: Entry;
  readonly signal: AbortSignal;
  readonly #options: LeasedVisitOptions;
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal;
  #record: ProcessRecord;
  #written: ProcessRecord;
  #goodUntil: number;
  #last: Promise<void> = Promise.resolve();

  constructor(options: LeasedVisitOptions, outer: AbortSignal) {
    this.#options = options;
    this.#outer = outer;
    this.entry = options.leased;
    this.#record = options.leased.record;
    this.#written = options.leased.record;
    this.#goodUntil = options.takenAt + options.leaseMs;
    this.signal = this.#controller.signal;
    if (outer.aborted) this.#abort();
    else outer.addEventListener('abort', this.#abort, { once: true });
    this.#beat();
  }

  get record(): ProcessRecord {
    return this.#record;
  }

  readonly guard = (): void => {
    this.signal.throwIfAborted();
    if (this.#options.clock.now() < this.#goodUntil - guardMarginMs) return;
    throw new LeaseLostError(this.entry.processId);
  };

  readonly save = async (record: ProcessRecord): Promise<void> => {
    this.signal.throwIfAborted();
    this.#record = record;
    await this.#write(() => record);
  };

  /** Takes over what a step found out; the next save writes it. */
  proceed(record: ProcessRecord): void {
    this.#record = record;
  }

  /** Ends the visit: the entry is due again at `dueAt`. */
  async rest(record: ProcessRecord, dueAt: number): Promise<void> {
    await this.#last;
    this.#controller.abort();
    const { journal, leased } = this.#options;
    const change = { record, room: roomOf(record), dueAt };
    await journal.save(leased, change, new AbortController().signal);
  }

  async close(closing: Closing): Promise<void> {
    await this.#last;
    this.#controller.abort();
    const { journal, leased } = this.#options;
    await journal.close(leased, closing, new AbortController().signal);
  }

  /** Ends an aborted visit early, so that nobody has to wait for its lease to run out. Never rejects. */
  async giveBack(): Promise<void> {
    const now = this.#options.clock.now();
    // Whoever comes next finds the record as it was written; failing here costs only the rest of the lease.
    await this.rest(this.#written, now).catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#outer.removeEventListener('abort', this.#abort);
    this.#controller.abort();
    await this.#last.catch(() => undefined);
  }

  readonly #abort = (): void => this.#controller.abort(this.#outer.reason);

  /** Writes one after the other, so that a heartbeat can never undo a newer record. */
  #write(recordNow: () => ProcessRecord): Promise<void> {
    const write = this.#last.then(async () => {
      const record = recordNow();
      const { journal, leased, leaseMs, clock } = this.#options;
      const askedAt = clock.now();
      await journal.save(leased, { record, room: roomOf(record) }, this.#outer);
      this.#written = record;
      this.#goodUntil = askedAt + leaseMs;
    });
    this.#last = write.catch(() => undefined);
    return write;
  }

  /** A journal that fails now may work at the next beat; until then guard() knows that the lease is in doubt. */
  async #renew(): Promise<void> {
    try {
      await this.#write(() => this.#written);
    } catch (error) {
      if (!(error instanceof JournalError)) throw error;
    }
  }

  #beat(): void {
    const { clock, leaseMs } = this.#options;
    clock
      .sleep(leaseMs / 3, this.signal)
      .then(async () => {
        const restMs = this.#goodUntil - clock.now();
        if (restMs < (leaseMs * 2) / 3) await this.#renew();
        if (!this.signal.aborted) this.#beat();
      })
      // The visit ended, or the lease is lost: what it still does must not be done any more.
      .catch((error: unknown) => this.#controller.abort(error));
  }
}
