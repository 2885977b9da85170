import {
  type Closing,
  type Entry,
  type Journal,
  JournalError,
  type LeasedEntry,
  LeaseLostError,
} from '../journal/journal.ts';
import type { ProcessRecord } from '../journal/process-record.ts';
import type { Clock } from '../time/clock.ts';
import type { Visit } from '../visit/visit.ts';
import { blindTrust, type ClockTrust } from '../watch/clock-trust.ts';
import { roomOf } from './lifecycle.ts';

export interface LeasedVisitOptions {
  readonly journal: Journal;
  readonly leased: LeasedEntry;
  readonly leaseMs: number;
  /** When the lease was asked for, by our own clock: it surely holds for leaseMs from then. */
  readonly takenAt: number;
  readonly clock: Clock;
  readonly trust?: ClockTrust;
}

/** Made once: an AbortController makes an error with a stack where it is given no reason. */
const visitEnded = new Error('The visit has ended.');

/** A visit does what must not be done twice only while its lease holds for at least this long. */
const guardMarginMs = 2_000;

/**
 * A write that failed may still be on its way, and would undo what is written after it. None lives longer
 * than this: the journals' own statements are given up by then.
 */
const unclearPauseMs = 10_000;
/** How often a visit tries to hand in what it knows when the journal fails; its lease ends by then. */
const mostWrites = 4;

/**
 * A visit under its lease. Saving renews the lease; a step that lasts longer is kept under lease by whoever
 * calls renew() now and then. When the entry was taken over, the visit's signal is aborted.
 */
export class LeasedVisit implements Visit, AsyncDisposable {
  readonly signal: AbortSignal;
  readonly #options: LeasedVisitOptions;
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal;
  #record: ProcessRecord;
  /** The newest that may stand in the journal: a write that failed may have been carried out. */
  #handedOver: ProcessRecord;
  /** A write of this visit failed, so that nobody knows what the journal holds. */
  #unclear: JournalError | undefined;
  #goodUntil: number;
  #last: Promise<void> = Promise.resolve();

  constructor(options: LeasedVisitOptions, outer: AbortSignal) {
    this.#options = options;
    this.#outer = outer;
    this.#record = options.leased.record;
    this.#handedOver = options.leased.record;
    this.#goodUntil = options.takenAt + options.leaseMs;
    this.signal = this.#controller.signal;
    if (outer.aborted) this.#abort();
    else outer.addEventListener('abort', this.#abort, { once: true });
  }

  /** Google is asked under the customer that the process was found under. */
  get entry(): Entry {
    const { leased } = this.#options;
    const { customer } = this.#record;
    return customer === undefined ? leased : { ...leased, customer };
  }

  get record(): ProcessRecord {
    return this.#record;
  }

  readonly guard = (): void => {
    this.signal.throwIfAborted();
    const { clock, trust = blindTrust } = this.#options;
    // A clock that was just set says nothing about how long the lease has lasted.
    if (trust.problem === undefined && clock.now() < this.#goodUntil - guardMarginMs) return;
    throw new LeaseLostError(this.entry.processId);
  };

  /** When the journal fails, the record is handed in as soon as it works again, and the visit is over. */
  readonly save = async (record: ProcessRecord): Promise<void> => {
    this.#record = record;
    this.signal.throwIfAborted();
    if (this.#unclear === undefined) await this.#write(() => record).catch(this.#noteUnclear);
    if (this.#unclear === undefined) return;
    const failure = this.#unclear;
    await this.rest(record, this.#options.clock.now()).catch((error: unknown) => {
      // Whoever took over may hold this very record: it must not look as if nobody had it.
      if (!(error instanceof LeaseLostError)) throw error;
    });
    throw failure;
  };

  /**
   * Renews a lease of which a third is used up, or in any case. Never rejects: a visit that lost its lease is
   * aborted.
   */
  async renew(inAnyCase = false): Promise<void> {
    const { clock, leaseMs } = this.#options;
    const isFresh = this.#goodUntil - clock.now() > (leaseMs * 2) / 3;
    if (this.signal.aborted || (isFresh && !inAnyCase)) return;
    try {
      await this.#write(() => {
        // The visit may have come to its last write while this one stood in line.
        this.signal.throwIfAborted();
        return this.#handedOver;
      });
    } catch (error) {
      if (error instanceof JournalError) this.#unclear = error;
      // What the visit still does must not be done any more.
      else this.#controller.abort(error);
    }
  }

  /** Takes over what a step found out; the next save writes it. */
  proceed(record: ProcessRecord): void {
    this.#record = record;
  }

  /** Ends the visit: the entry is due again at `dueAt`. */
  async rest(record: ProcessRecord, dueAt: number): Promise<void> {
    await this.#last;
    this.#controller.abort(visitEnded);
    const { journal, leased } = this.#options;
    const change = { record, room: roomOf(record), dueAt };
    await this.#insist(() => journal.save(leased, change, new AbortController().signal));
  }

  async close(closing: Closing): Promise<void> {
    await this.#last;
    this.#controller.abort(visitEnded);
    const { journal, leased } = this.#options;
    await this.#insist(() => journal.close(leased, closing, new AbortController().signal));
  }

  /** Ends an aborted visit early, so that nobody has to wait for its lease to run out. Never rejects. */
  async giveBack(): Promise<void> {
    const now = this.#options.clock.now();
    // What came to be known last may be a certificate; failing here costs no more than a crash would.
    await this.rest(this.#record, now).catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#outer.removeEventListener('abort', this.#abort);
    this.#controller.abort(visitEnded);
    await this.#last;
  }

  readonly #abort = (): void => this.#controller.abort(this.#outer.reason);

  /** Writes one after the other, so that a heartbeat can never undo a newer record. */
  #write(recordNow: () => ProcessRecord): Promise<void> {
    const write = this.#last.then(async () => {
      const record = recordNow();
      const { journal, leased, leaseMs, clock } = this.#options;
      const askedAt = clock.now();
      this.#handedOver = record;
      await journal.save(leased, { record, room: roomOf(record) }, this.#outer);
      this.#goodUntil = askedAt + leaseMs;
    });
    this.#last = write.catch(() => undefined); // Whoever asked for it hears of it.
    return write;
  }

  readonly #noteUnclear = (error: unknown): void => {
    if (!(error instanceof JournalError)) throw error;
    this.#unclear = error;
  };

  /** The visit's last write. It is repeated for a while, since it may hold what cannot be asked again. */
  async #insist(write: () => Promise<void>): Promise<void> {
    for (let writes = 0; ; writes += 1) {
      // Once the drain time is over there is no time to wait for a write that may be on its way.
      if (this.#unclear !== undefined && !this.#outer.aborted) {
        if (writes >= mostWrites) throw this.#unclear;
        // An abort ends the wait; the write is tried once more all the same.
        await this.#options.clock.sleep(unclearPauseMs, this.#outer).catch(() => undefined);
      }
      try {
        return await write();
      } catch (error) {
        this.#noteUnclear(error);
        if (this.#outer.aborted) throw error;
      }
    }
  }
}

/** Keeps visits under lease that take longer than their lease, also while the worker drains. */
export async function keepLeased(
  visits: Iterable<LeasedVisit>,
  everyMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    // An abort ends the wait, and with it the loop.
    await clock.sleep(everyMs, signal).catch(() => undefined);
    for (const visit of visits) void visit.renew();
  }
}
