import type { Agenda } from './agenda.ts';
import type { Faults } from './faults.ts';

/** A published message; shared by all subscriptions of its topic. */
export interface StoredMessage {
  /** Counts from 0; the subject of every seeded decision about this message. */
  readonly index: number;
  readonly data: Buffer;
  readonly attributes: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly publishedAtMs: number;
}

/** A message on its way to a subscriber. */
export interface Handed {
  readonly ackId: string;
  readonly message: StoredMessage;
  /** From 1. */
  readonly attempt: number;
}

/** Who takes messages: a StreamingPull stream. */
export interface Taker {
  /** How many messages it takes now. */
  room(): number;
  /** The lease its messages get, in ms. */
  ackDeadlineMs(): number;
  take(messages: readonly Handed[]): void;
  /** One of its messages is no longer out. */
  released(): void;
}

interface Waiting {
  readonly message: StoredMessage;
  readonly attempt: number;
}

interface Lease extends Waiting {
  untilMs: number;
  readonly taker: Taker | undefined;
}

const mostInBatch = 100;
const sweepEveryMs = 500;
/** A message that others overtake is held back for at most this long. */
const heldBackMs = 400;

export interface SubscriptionParts {
  readonly agenda: Agenda;
  readonly faults: Faults;
  now(): number;
}

/**
 * One subscription's queue: at least once, in no promised order, with leases that run out. Duplicates and
 * overtaking come from the faults; redelivery from leases that end without an acknowledgement.
 */
export class Subscription {
  readonly name: string;
  readonly topic: string;
  readonly ackDeadlineSeconds: number;
  readonly #parts: SubscriptionParts;
  #waiting: Waiting[] = [];
  #firstWaiting = 0;
  readonly #leases = new Map<string, Lease>();
  readonly #takers = new Set<Taker>();
  #nextAckId = 1;
  #pumpIsDue = false;
  #sweepIsDue = false;

  constructor(name: string, topic: string, ackDeadlineSeconds: number, parts: SubscriptionParts) {
    this.name = name;
    this.topic = topic;
    this.ackDeadlineSeconds = ackDeadlineSeconds;
    this.#parts = parts;
  }

  /** Messages that nobody holds, and messages that are out. */
  counts(): { readonly waiting: number; readonly out: number } {
    return { waiting: this.#waiting.length - this.#firstWaiting, out: this.#leases.size };
  }

  publish(message: StoredMessage): void {
    this.#enqueue({ message, attempt: 1 });
    if (this.#parts.faults.happens('duplicates', message.index, 0)) {
      this.#enqueue({ message, attempt: 1 });
    }
  }

  join(taker: Taker): void {
    this.#takers.add(taker);
    this.#pumpSoon();
  }

  /** What it holds stays out until the leases end, as in the real service. */
  leave(taker: Taker): void {
    this.#takers.delete(taker);
  }

  /** A taker has room again. */
  wake(): void {
    this.#pumpSoon();
  }

  /** For Pull: up to `most` messages, each leased for the subscription's ack deadline. */
  pull(most: number): Handed[] {
    return this.#handOut(Math.min(most, mostInBatch), this.ackDeadlineSeconds * 1_000, undefined);
  }

  /** Unknown ack ids are ignored: their lease has ended. */
  acknowledge(ackIds: readonly string[]): void {
    for (const ackId of ackIds) this.#endLease(ackId);
  }

  /** 0 seconds is a negative acknowledgement: the message is delivered again at once. */
  modifyDeadline(ackIds: readonly string[], seconds: number): void {
    for (const ackId of ackIds) {
      if (seconds <= 0) this.#redeliver(ackId);
      else {
        const lease = this.#leases.get(ackId);
        if (lease !== undefined) lease.untilMs = this.#parts.now() + seconds * 1_000;
      }
    }
  }

  #enqueue(waiting: Waiting): void {
    const { faults, agenda } = this.#parts;
    const queue = (): void => {
      this.#waiting.push(waiting);
      this.#pumpSoon();
    };
    if (faults.happens('reordering', waiting.message.index, waiting.attempt)) {
      agenda.after(heldBackMs, queue);
    } else queue();
  }

  #redeliver(ackId: string): void {
    const lease = this.#endLease(ackId);
    if (lease !== undefined) this.#enqueue({ message: lease.message, attempt: lease.attempt + 1 });
  }

  #endLease(ackId: string): Lease | undefined {
    const lease = this.#leases.get(ackId);
    if (lease === undefined) return undefined;
    this.#leases.delete(ackId);
    lease.taker?.released();
    this.#pumpSoon();
    return lease;
  }

  #pumpSoon(): void {
    if (this.#pumpIsDue || this.#takers.size === 0) return;
    this.#pumpIsDue = true;
    setImmediate(() => {
      this.#pumpIsDue = false;
      this.#pump();
    });
  }

  /** Deals the waiting messages to the takers in turn, batch by batch. */
  #pump(): void {
    for (let dealt = true; dealt; ) {
      dealt = false;
      for (const taker of [...this.#takers]) {
        const most = Math.min(taker.room(), mostInBatch);
        const batch = this.#handOut(most, taker.ackDeadlineMs(), taker);
        if (batch.length === 0) continue;
        dealt = true;
        taker.take(batch);
      }
    }
  }

  #handOut(most: number, leaseMs: number, taker: Taker | undefined): Handed[] {
    const untilMs = this.#parts.now() + leaseMs;
    const batch: Handed[] = [];
    while (batch.length < most) {
      const waiting = this.#waiting[this.#firstWaiting];
      if (waiting === undefined) break;
      this.#firstWaiting += 1;
      const ackId = `${this.#nextAckId}`;
      this.#nextAckId += 1;
      this.#leases.set(ackId, { ...waiting, untilMs, taker });
      batch.push({ ackId, ...waiting });
    }
    this.#compact();
    if (batch.length > 0) this.#sweepLater();
    return batch;
  }

  #compact(): void {
    if (this.#firstWaiting < 1_024 || this.#firstWaiting * 2 < this.#waiting.length) return;
    this.#waiting = this.#waiting.slice(this.#firstWaiting);
    this.#firstWaiting = 0;
  }

  #sweepLater(): void {
    if (this.#sweepIsDue) return;
    this.#sweepIsDue = true;
    this.#parts.agenda.after(sweepEveryMs, () => {
      this.#sweepIsDue = false;
      const nowMs = this.#parts.now();
      for (const [ackId, lease] of this.#leases) {
        if (lease.untilMs <= nowMs) this.#redeliver(ackId);
      }
      if (this.#leases.size > 0) this.#sweepLater();
    });
  }
}
