import type { Outcome, Room } from '../request/room.ts';
import type { AuthorityStanding, KeptStanding } from './authority-standing.ts';
import type { ProcessRecord } from './process-record.ts';

/** A notification that passed the door: both ids are safe inside a URL. */
export interface Notification {
  /** The obfuscated customer id, or `my_customer`. */
  readonly customer: string;
  /** The certificate provisioning process's id. */
  readonly processId: string;
}

export interface Entry extends Notification {
  /** Under which other customers the same id was announced before it was claimed; absent where there are none. */
  readonly otherCustomers?: readonly string[];
  /** When the notification was written down, in milliseconds since the epoch. */
  readonly openedAt: number;
  readonly record: ProcessRecord;
}

/** An entry that this instance may work on until its lease runs out. */
export interface LeasedEntry extends Entry {
  /** Fencing token: grows with every take, so a late visit can be told from the present one. */
  readonly fence: number;
}

/** How many characters of other customers' ids are kept for one process; more are ignored. */
export const mostOtherCustomersLength = 400;

export interface EntryChange {
  readonly record: ProcessRecord;
  /** Kept beside the record for `summary()`. */
  readonly room: Room;
  /** Ends the visit: the entry is due again then. Without it the lease is renewed and the visit goes on. */
  readonly dueAt?: number;
}

export interface Closing {
  readonly outcome: Outcome;
  /** The error's code where there was one. */
  readonly code?: string;
  /** The record as it was at the end: inventory, and the answer to "why". */
  readonly record: ProcessRecord;
}

export interface JournalSummary {
  /** Open entries by room. */
  readonly open: Readonly<Record<Room, number>>;
  readonly closed: number;
}

/**
 * What was not written down is lost: Google has no list method. Every method that resolves has written
 * durably. Any instance may take any due entry; a crashed visit's lease runs out by itself.
 *
 * Entries are keyed by the process id alone: the same process announced under `my_customer` and under the
 * customer's own id is one process, and must be signed once.
 *
 * @throws {JournalError} when the store cannot be read or written. Then nothing was changed or, if a connection broke
 *   in the middle, nobody knows: the next visit reads what is there.
 */
export interface Journal extends AsyncDisposable {
  /**
   * Writes a process down, due at once. Harmless when repeated, also after the process was closed, but for two cases.
   * One that ended as `gone` and was never claimed (its record has no `claim.claimedAt`) is opened again, with the
   * record it has. And while one is open and nobody meant to claim it yet (its record has no `claim`), another
   * customer is added to those it was announced under: it is due at once then, and a visit that holds it is overtaken.
   */
  open(notification: Notification, signal: AbortSignal): Promise<'opened' | 'known'>;
  /**
   * Leases up to `limit` entries that are due. Those that rested for a second at most go before new ones, and
   * these before those that rested for longer, of each the longest due first; a fourth of the places, if so many
   * are due there, is for the last (waiting-lines.ts).
   */
  takeDue(
    instance: string,
    limit: number,
    leaseMs: number,
    signal: AbortSignal,
  ): Promise<readonly LeasedEntry[]>;
  /**
   * Writes a change. Fenced: throws {@link LeaseLostError} and writes nothing when the entry was taken over
   * or closed since. A lease that has run out but that nobody took over is still good.
   */
  save(leased: LeasedEntry, change: EntryChange, signal: AbortSignal): Promise<void>;
  /** Ends the process for good. Fenced like {@link save}. */
  close(leased: LeasedEntry, closing: Closing, signal: AbortSignal): Promise<void>;
  /**
   * After a clock was set: nobody rests, or is leased, for longer from now than was meant when it was written down.
   * Else what was written by a clock that ran ahead would lie until that time has come.
   */
  settleDue(signal: AbortSignal): Promise<void>;
  /** The store's own time of day, in milliseconds since the epoch; undefined where it goes by this instance's clock. */
  now(signal: AbortSignal): Promise<number | undefined>;
  /** When the next open entry becomes due or its lease runs out; undefined when none is open. */
  nextDueAt(signal: AbortSignal): Promise<number | undefined>;
  summary(signal: AbortSignal): Promise<JournalSummary>;
  /**
   * Deletes up to `limit` entries that were closed before `closedBefore` (milliseconds since the epoch), the
   * oldest first, and tells how many. Call it again while it deletes `limit`: small batches keep others going.
   */
  prune(closedBefore: number, limit: number, signal: AbortSignal): Promise<number>;
  /** Writes a copy of everything to a file that is not there yet, whole as of one moment, while the work goes on. */
  backup?(file: string, signal: AbortSignal): Promise<void>;
  /** Writes something small, durably, and takes the locks that a write takes: proves that a write is possible now. */
  probe?(signal: AbortSignal): Promise<void>;
  /** Makes what waits in a room due at once: what it waits for may have changed. Visits under way are left alone. */
  hasten(room: Room, signal: AbortSignal): Promise<void>;
  /** What was written about an authority, under its reference; undefined when nothing ever was. */
  standing(authority: string, signal: AbortSignal): Promise<KeptStanding | undefined>;
  /**
   * Writes what is known about an authority, if nobody has since `version` was read (0: there was nothing). False when
   * somebody has: nothing was written then.
   */
  writeStanding(
    authority: string,
    standing: AuthorityStanding,
    version: number,
    signal: AbortSignal,
  ): Promise<boolean>;
  /**
   * Only on journals that several instances share: calls back when an entry that another instance wrote has
   * become due. A hint that shortens a wait: a call may be missed or be in vain, polling is the net.
   */
  onWake?(listener: () => void): void;
}

/** The store failed. The message says what, where, and how to mend it. */
export class JournalError extends Error {
  override readonly name = 'JournalError';
}

/** Another visit holds this entry now: stop, without writing anything. */
export class LeaseLostError extends Error {
  override readonly name = 'LeaseLostError';

  constructor(processId: string) {
    super(`The lease on process ${processId} was taken over by another visit.`);
  }
}
