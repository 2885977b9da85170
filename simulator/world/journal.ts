import type {
  Closing,
  EntryChange,
  Journal,
  LeasedEntry,
  Notification,
} from '../../src/journal/journal.ts';
import type { ProcessRecord } from '../../src/journal/process-record.ts';
import { roomOf } from '../../src/lifecycle/lifecycle.ts';
import type { Room } from '../../src/request/room.ts';
import type { Clock } from '../../src/time/clock.ts';
import type { Safeguard } from './safeguards.ts';
import type { Scheduler } from './scheduler.ts';

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
