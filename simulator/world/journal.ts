import type { AuthorityStanding } from '../../src/journal/authority-standing.ts';
import type {
  Closing,
  EntryChange,
  Journal,
  LeasedEntry,
  Notification,
} from '../../src/journal/journal.ts';
import { JournalError } from '../../src/journal/journal.ts';
import type { ProcessRecord } from '../../src/journal/process-record.ts';
import { roomOf } from '../../src/lifecycle/lifecycle.ts';
import type { Room } from '../../src/request/room.ts';
import type { Clock } from '../../src/time/clock.ts';
import type { Life, Scheduler } from './scheduler.ts';
import type { Wire } from './wire.ts';

/** The safeguards that can be taken away, to see that their lack is found. */
export const safeguards = [
  'fencing',
  'claim-intention',
  'order-intention',
  'save-before-upload',
  'acknowledge-after-write',
  'write-last',
  'doubt-pause',
  'clock-trust',
  'watched-time',
  'settled-due',
] as const;
export type Safeguard = (typeof safeguards)[number];

export function isSafeguard(text: string): text is Safeguard {
  return safeguards.some((name) => name === text);
}

/** What the journal holds of a process, as seen from outside. */
export interface Kept {
  /** Under which it was announced before it was claimed. */
  readonly customers: Set<string>;
  record: ProcessRecord;
  closing?: Closing;
  closedAt?: number;
  /** By the store's clock. */
  dueAt: number;
  /** For how long it was to be away when it was last written. */
  awayMs: number;
  fence: number;
  leaseMs: number;
  isLeased: boolean;
}

export interface WorldJournalOptions {
  readonly scheduler: Scheduler;
  readonly wire: Wire;
  readonly store: Journal;
  /** The store's own; the instances' where it is one instance's alone. */
  readonly clock: Clock;
  readonly isShared: boolean;
  readonly without: Safeguard | undefined;
}

/** One store that several instances share, and what was written to it. */
export class WorldJournal {
  readonly kept = new Map<string, Kept>();
  /** Called for every write, before any other instance can see it. */
  onWrite: (processId: string, record: ProcessRecord) => void = () => undefined;
  /** Processes for which a write of an instance failed, or seemed to: `instance process`. */
  readonly failed = new Set<string>();
  readonly options: WorldJournalOptions;

  constructor(options: WorldJournalOptions) {
    this.options = options;
  }

  nextWorkAt(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { dueAt, closing } of this.kept.values()) {
      if (closing === undefined && dueAt < next) next = dueAt;
    }
    return next - this.now() + this.options.scheduler.now();
  }

  /** By the clock that the store goes by. */
  now(): number {
    return this.options.clock.now();
  }

  viewOf(life: Life, clock: Clock): Journal {
    return new JournalView(this, life, clock);
  }

  async open(notification: Notification, signal: AbortSignal): Promise<'opened' | 'known'> {
    const result = await this.options.store.open(notification, signal);
    const { customer, processId } = notification;
    const now = this.now();
    const kept = this.kept.get(processId);
    if (result === 'opened') {
      const record = kept?.closing?.record ?? {};
      const customers = new Set([customer]);
      this.kept.set(processId, {
        record,
        dueAt: now,
        awayMs: 0,
        fence: 0,
        leaseMs: 0,
        isLeased: false,
        customers,
      });
    } else if (kept?.closing === undefined && kept?.record.claim === undefined) {
      if (kept?.customers.has(customer) === false)
        Object.assign(kept, { dueAt: now, isLeased: false });
      kept?.customers.add(customer);
    }
    return result;
  }

  async takeDue(instance: string, limit: number, leaseMs: number, signal: AbortSignal) {
    const taken = await this.options.store.takeDue(instance, limit, leaseMs, signal);
    for (const { processId, fence } of taken) {
      const kept = this.kept.get(processId);
      if (kept === undefined) continue;
      const dueAt = this.now() + leaseMs;
      Object.assign(kept, { fence, leaseMs, dueAt, awayMs: leaseMs, isLeased: true });
    }
    return taken;
  }

  async settleDue(signal: AbortSignal): Promise<void> {
    if (this.options.without === 'settled-due') return;
    await this.options.store.settleDue(signal);
    const now = this.now();
    for (const kept of this.kept.values()) kept.dueAt = Math.min(kept.dueAt, now + kept.awayMs);
  }

  async save(leased: LeasedEntry, change: EntryChange, signal: AbortSignal): Promise<void> {
    const { processId } = leased;
    const kept = this.kept.get(processId);
    const record = this.#weakened(change.record);
    if (kept !== undefined && change.dueAt === undefined && this.#skips(kept.record, record))
      return;
    await this.options.store.save(this.#unfenced(leased, kept), { ...change, record }, signal);
    if (kept === undefined) return;
    kept.record = record;
    const now = this.now();
    kept.isLeased = change.dueAt === undefined;
    kept.dueAt = change.dueAt ?? now + kept.leaseMs;
    kept.awayMs = Math.max(0, kept.dueAt - now);
    this.onWrite(processId, record);
  }

  async close(leased: LeasedEntry, closing: Closing, signal: AbortSignal): Promise<void> {
    const kept = this.kept.get(leased.processId);
    await this.options.store.close(this.#unfenced(leased, kept), closing, signal);
    if (kept === undefined) return;
    Object.assign(kept, {
      record: closing.record,
      closing,
      closedAt: this.now(),
    });
    this.onWrite(leased.processId, closing.record);
  }

  async hasten(room: Room, signal: AbortSignal): Promise<void> {
    await this.options.store.hasten(room, signal);
    const now = this.now();
    for (const kept of this.kept.values()) {
      if (!kept.isLeased && roomOf(kept.record) === room) kept.dueAt = Math.min(kept.dueAt, now);
    }
  }

  #unfenced(leased: LeasedEntry, kept: Kept | undefined): LeasedEntry {
    if (this.options.without !== 'fencing' || kept === undefined) return leased;
    return { ...leased, fence: kept.fence };
  }

  /** A write that the lack of a safeguard leaves out. */
  #skips(before: ProcessRecord, after: ProcessRecord): boolean {
    switch (this.options.without) {
      case 'claim-intention':
        return (
          before.claim === undefined &&
          after.claim !== undefined &&
          after.claim.claimedAt === undefined
        );
      case 'order-intention':
        return (
          before.order === undefined &&
          after.order !== undefined &&
          after.order.ticket === undefined &&
          after.issued === undefined
        );
      case 'save-before-upload':
        return (
          before.issued === undefined &&
          after.issued !== undefined &&
          after.issued.faultCode === undefined
        );
      default:
        return false;
    }
  }

  #weakened(record: ProcessRecord): ProcessRecord {
    if (this.options.without === 'watched-time' && record.age !== undefined) {
      return { ...record, age: { ...record.age, restMs: Number.MAX_SAFE_INTEGER } };
    }
    if (this.options.without !== 'doubt-pause' || record.signing === undefined) return record;
    return { ...record, signing: { ...record.signing, pauseOwedMs: 0 } };
  }
}

/** The journal as one instance sees it. */
class JournalView implements Journal {
  readonly #journal: WorldJournal;
  readonly #life: Life;
  readonly #clock: Clock;

  constructor(journal: WorldJournal, life: Life, clock: Clock) {
    this.#journal = journal;
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
    return this.#journal.options.wire.send(
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
