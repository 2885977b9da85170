import type { Outcome, Room } from '../request/room.ts';
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
import { JournalError, LeaseLostError, mostOtherCustomersLength } from './journal.ts';
import type { ProcessRecord } from './process-record.ts';
import { type Line, line, lineAfter, Turnstile } from './waiting-lines.ts';

interface Row extends Mutable<Notification> {
  otherCustomers: readonly string[];
  openedAt: number;
  /** JSON: what a visit holds and what the journal holds never share an object. */
  record: string;
  room: Room;
  /** When it is due or, while it is leased, when the lease runs out. */
  availableAt: number;
  line: Line;
  /** How long it was to be away, resting or leased, when it was last written. */
  awayMs: number;
  leaseMs: number;
  isLeased: boolean;
  fence: number;
  closed?: { readonly at: number; readonly outcome: Outcome; readonly code?: string } | undefined;
}

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] };

/** Forgets everything with the process: for tests, and the model that the other journals are held against. */
export class MemoryJournal implements Journal {
  readonly #clock: Clock;
  /** In the order in which they were opened. */
  readonly #rows = new Map<string, Row>();
  /** JSON, by the authority's reference. */
  readonly #standings = new Map<string, { readonly version: number; readonly text: string }>();
  readonly #turnstile = new Turnstile();
  #disposed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async open(notification: Notification, signal: AbortSignal): Promise<'opened' | 'known'> {
    this.#check(signal);
    const { customer, processId } = notification;
    const known = this.#rows.get(processId);
    const now = this.#clock.now();
    if (known !== undefined) return announceAgain(known, customer, now);
    this.#rows.set(processId, {
      customer,
      otherCustomers: [],
      processId,
      openedAt: now,
      record: '{}',
      room: 'claim',
      availableAt: now,
      line: line.fresh,
      awayMs: 0,
      leaseMs: 0,
      isLeased: false,
      fence: 0,
    });
    return 'opened';
  }

  async takeDue(
    _instance: string,
    limit: number,
    leaseMs: number,
    signal: AbortSignal,
  ): Promise<readonly LeasedEntry[]> {
    this.#check(signal);
    const now = this.#clock.now();
    const due = this.#open().filter((row) => row.availableAt <= now);
    // The sort is stable: entries due at the same time come in the order in which they were opened.
    due.sort((one, other) => one.availableAt - other.availableAt);
    const standing = (where: Line) => due.filter((row) => row.line === where);
    const patient = standing(line.patient);
    const reserved = patient.splice(0, this.#turnstile.reserve(limit));
    const lined = [...reserved, ...standing(line.prompt), ...standing(line.fresh), ...patient];
    return lined.slice(0, limit).map((row) => {
      row.availableAt = now + leaseMs;
      row.leaseMs = leaseMs;
      row.awayMs = leaseMs;
      row.isLeased = true;
      row.fence += 1;
      const { customer, otherCustomers, processId, openedAt, fence } = row;
      const record: ProcessRecord = JSON.parse(row.record);
      const others = otherCustomers.length === 0 ? {} : { otherCustomers };
      return { customer, ...others, processId, openedAt, fence, record };
    });
  }

  async save(leased: LeasedEntry, change: EntryChange, signal: AbortSignal): Promise<void> {
    const row = this.#leasedRow(leased, signal);
    row.record = JSON.stringify(change.record);
    row.room = change.room;
    const now = this.#clock.now();
    row.availableAt = change.dueAt ?? now + row.leaseMs;
    row.awayMs = Math.max(0, row.availableAt - now);
    row.isLeased = change.dueAt === undefined;
    row.line = lineAfter(change.dueAt === undefined ? undefined : change.dueAt - now);
  }

  async close(leased: LeasedEntry, closing: Closing, signal: AbortSignal): Promise<void> {
    const row = this.#leasedRow(leased, signal);
    const { outcome, code } = closing;
    row.record = JSON.stringify(closing.record);
    row.closed = { at: this.#clock.now(), outcome, ...(code === undefined ? {} : { code }) };
  }

  async settleDue(signal: AbortSignal): Promise<void> {
    this.#check(signal);
    const now = this.#clock.now();
    for (const row of this.#open()) {
      row.availableAt = Math.min(row.availableAt, now + row.awayMs);
    }
  }

  async now(): Promise<undefined> {
    return undefined;
  }

  async nextDueAt(signal: AbortSignal): Promise<number | undefined> {
    this.#check(signal);
    return this.#open().reduce<number | undefined>(
      (least, { availableAt }) => Math.min(least ?? availableAt, availableAt),
      undefined,
    );
  }

  async summary(signal: AbortSignal): Promise<JournalSummary> {
    this.#check(signal);
    const open: Record<Room, number> = { claim: 0, possession: 0, issue: 0, deliver: 0 };
    const rows = this.#open();
    for (const { room } of rows) open[room] += 1;
    return { open, closed: this.#rows.size - rows.length };
  }

  async prune(closedBefore: number, limit: number, signal: AbortSignal): Promise<number> {
    this.#check(signal);
    const old = [...this.#rows.values()].flatMap(({ processId, closed }) =>
      closed !== undefined && closed.at < closedBefore ? [{ processId, at: closed.at }] : [],
    );
    old.sort((one, other) => one.at - other.at);
    const pruned = old.slice(0, limit);
    for (const { processId } of pruned) this.#rows.delete(processId);
    return pruned.length;
  }

  async hasten(room: Room, signal: AbortSignal): Promise<void> {
    this.#check(signal);
    const now = this.#clock.now();
    for (const row of this.#open()) {
      if (row.room === room && !row.isLeased) row.availableAt = Math.min(row.availableAt, now);
    }
  }

  async standing(authority: string, signal: AbortSignal): Promise<KeptStanding | undefined> {
    this.#check(signal);
    const kept = this.#standings.get(authority);
    return kept && { version: kept.version, standing: JSON.parse(kept.text) };
  }

  async writeStanding(
    authority: string,
    standing: AuthorityStanding,
    version: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    this.#check(signal);
    if ((this.#standings.get(authority)?.version ?? 0) !== version) return false;
    this.#standings.set(authority, { version: version + 1, text: JSON.stringify(standing) });
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
  }

  #open(): Row[] {
    return [...this.#rows.values()].filter((row) => row.closed === undefined);
  }

  #leasedRow({ processId, fence }: LeasedEntry, signal: AbortSignal): Row {
    this.#check(signal);
    const row = this.#rows.get(processId);
    if (row === undefined || row.closed !== undefined || row.fence !== fence) {
      throw new LeaseLostError(processId);
    }
    return row;
  }

  #check(signal: AbortSignal): void {
    signal.throwIfAborted();
    if (this.#disposed) throw new JournalError('The journal is closed.');
  }
}

/** What a later notification changes; see {@link Journal.open}. */
function announceAgain(row: Row, customer: string, now: number): 'opened' | 'known' {
  const { claim }: ProcessRecord = JSON.parse(row.record);
  const dueNow = {
    availableAt: now,
    line: line.fresh,
    isLeased: false,
    fence: row.fence + 1,
  };
  if (row.closed?.outcome === 'gone' && claim?.claimedAt === undefined) {
    const open = { room: 'claim', leaseMs: 0, closed: undefined } as const;
    Object.assign(row, { customer, otherCustomers: [], openedAt: now, ...open, ...dueNow });
    return 'opened';
  }
  const { otherCustomers } = row;
  const isNew = customer !== row.customer && !otherCustomers.includes(customer);
  const isRoom = otherCustomers.join(' ').length < mostOtherCustomersLength;
  if (row.closed === undefined && claim === undefined && isNew && isRoom) {
    Object.assign(row, { otherCustomers: [...otherCustomers, customer], ...dueNow });
  }
  return 'known';
}
