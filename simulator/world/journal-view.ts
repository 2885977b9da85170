import type { AuthorityStanding } from '../../src/journal/authority-standing.ts';
import {
  type Closing,
  type EntryChange,
  type Journal,
  JournalError,
  type LeasedEntry,
  type Notification,
} from '../../src/journal/journal.ts';
import type { ProcessRecord } from '../../src/journal/process-record.ts';
import type { Room } from '../../src/request/room.ts';
import type { Clock } from '../../src/time/clock.ts';
import type { WorldJournal } from './journal.ts';
import type { Life } from './scheduler.ts';
import type { Wire } from './wire.ts';

export interface JournalViewOptions {
  readonly journal: WorldJournal;
  readonly wire: Wire;
  readonly life: Life;
  /** What the instance takes for the time of day. */
  readonly clock: Clock;
}

/** The journal as one instance reaches it. */
export class JournalView implements Journal {
  readonly #journal: WorldJournal;
  readonly #wire: Wire;
  readonly #life: Life;
  readonly #clock: Clock;

  constructor({ journal, wire, life, clock }: JournalViewOptions) {
    this.#journal = journal;
    this.#wire = wire;
    this.#life = life;
    this.#clock = clock;
  }

  open(notification: Notification, signal: AbortSignal): Promise<'opened' | 'known'> {
    const { without } = this.#journal.options;
    const { processId } = notification;
    const write = this.#send('open', processId, () => this.#journal.open(notification, signal));
    if (without !== 'acknowledge-after-write') return write;
    // Nobody hears of it when the write fails: that is what is to be found.
    write.catch(() => undefined);
    return Promise.resolve('opened');
  }

  async takeDue(instance: string, limit: number, leaseMs: number, signal: AbortSignal) {
    const take = () => this.#journal.takeDue(instance, limit, leaseMs, signal);
    // Looking in vain changes nothing, so it is done at once; there is no end of it.
    const { scheduler } = this.#journal.options;
    if (this.#journal.nextWorkAt() > scheduler.now()) return [];
    return this.#send('takeDue', '', take);
  }

  save(leased: LeasedEntry, change: EntryChange, signal: AbortSignal): Promise<void> {
    const { dueAt, ...rest } = change;
    if (dueAt === undefined) {
      const write = () => this.#journal.save(leased, rest, signal);
      return this.#departing(change.record, this.#send('save', leased.processId, write));
    }
    // The store is told a delay, by its own clock.
    const delayMs = dueAt - this.#clock.now();
    return this.#send('rest', leased.processId, () =>
      this.#journal.save(leased, { ...rest, dueAt: this.#journal.now() + delayMs }, signal),
    );
  }

  close(leased: LeasedEntry, closing: Closing, signal: AbortSignal): Promise<void> {
    return this.#send('close', leased.processId, () =>
      this.#journal.close(leased, closing, signal),
    );
  }

  async settleDue(signal: AbortSignal): Promise<void> {
    await this.#journal.settleDue(signal);
  }

  async now(): Promise<number | undefined> {
    return this.#journal.options.isShared ? this.#journal.now() : undefined;
  }

  async nextDueAt(): Promise<number | undefined> {
    const next = this.#journal.nextWorkAt();
    if (next === Number.POSITIVE_INFINITY) return undefined;
    return this.#clock.now() + next - this.#journal.options.scheduler.now();
  }

  hasten(room: Room, signal: AbortSignal): Promise<void> {
    return this.#send('hasten', '', () => this.#journal.hasten(room, signal));
  }

  standing(authority: string, signal: AbortSignal) {
    // Looking changes nothing, so it is done at once.
    return this.#journal.options.store.standing(authority, signal);
  }

  writeStanding(
    authority: string,
    standing: AuthorityStanding,
    version: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { store } = this.#journal.options;
    const write = () => store.writeStanding(authority, standing, version, signal);
    return this.#send('writeStanding', '', write);
  }

  summary(signal: AbortSignal) {
    return this.#journal.options.store.summary(signal);
  }

  async prune(): Promise<number> {
    return 0;
  }

  async [Symbol.asyncDispose]() {
    // The store is the world's.
  }

  /** An order leaves in the moment in which its intention is confirmed, as a call to Google does. */
  async #departing(record: ProcessRecord, written: Promise<void>): Promise<void> {
    if (record.order?.asking !== true || record.issued !== undefined) return written;
    const { scheduler } = this.#journal.options;
    this.#life.departing += 1;
    try {
      await written;
    } finally {
      scheduler.after(0, () => this.#life.departed(scheduler.now()));
    }
  }

  #send<Result>(method: string, processId: string, carryOut: () => Promise<Result>) {
    return this.#wire.send(
      { life: this.#life, port: 'journal', method, processId },
      {
        carryOut,
        problem: () => {
          this.#journal.failed.add(`${this.#life.name} ${processId}`);
          return new JournalError('The journal cannot be reached.');
        },
      },
    );
  }
}
