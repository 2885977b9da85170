import type { Clock, Random } from '../../src/time/clock.ts';
import { Heap } from '../heap.ts';

/*
 * Time in a world of one process. Nothing happens but what is on the agenda, in the order of its time and then of its
 * arrival. Between two events everything that became runnable runs to its end, so a history depends on its seed
 * alone.
 */

/** The worlds begin here: no certificate, and nobody's clock, depends on the day the tests are run. */
export const startOfTime = Date.UTC(2026, 0, 15, 8);

export const hourMs = 3_600_000;

/** The pause of a worker that has nothing to do; the scheduler lets such a sleeper sleep until there is work. */
const idlePauseMs = 5_000;

/**
 * One instance's life: dead, it never does anything again; stalled, everything it does waits; frozen, its clocks
 * stand still as well.
 */
export class Life {
  readonly name: string;
  dead = false;
  stalledUntil = 0;
  /** How far its machine's clock was set ahead (below zero: back), beside how far it stayed behind. */
  aheadMs = 0;
  /** How far it is ahead when it is right, as right as clocks are. */
  skewMs = 0;
  /** For how long its clocks stood still in all. */
  frozenMs = 0;
  /** Writes that must be followed by their calls in the same moment, decision 2's window; no freeze falls into it. */
  departing = 0;
  /** Called when it freezes, for so long. */
  onFreeze: (forMs: number) => void = () => undefined;
  #freezesThen = 0;
  readonly bornAt: number;
  diedAt = Number.POSITIVE_INFINITY;
  readonly #onDeath: (life: Life) => void;

  constructor(name: string, bornAt: number, onDeath: (life: Life) => void) {
    this.name = name;
    this.bornAt = bornAt;
    this.#onDeath = onDeath;
  }

  die(): void {
    if (this.dead) return;
    this.dead = true;
    this.#onDeath(this);
  }

  /** Somebody sets the clock this far ahead of the truth. */
  set(aheadMs: number): void {
    this.aheadMs = aheadMs + this.frozenMs;
  }

  freeze(forMs: number, now: number): void {
    if (this.departing > 0) {
      this.#freezesThen = Math.max(this.#freezesThen, forMs);
      return;
    }
    // What froze before has to wake first, or it would be counted twice.
    if (this.stalledUntil > now) return;
    this.stalledUntil = now + forMs;
    this.frozenMs += forMs;
    this.onFreeze(forMs);
  }

  departed(now: number): void {
    this.departing -= 1;
    if (this.departing > 0 || this.#freezesThen === 0) return;
    const forMs = this.#freezesThen;
    this.#freezesThen = 0;
    this.freeze(forMs, now);
  }
}

interface Item {
  at: number;
  order: number;
  readonly act: () => void;
  readonly life: Life | undefined;
  /** Of a timer, which stands still with its machine: how long that was frozen when it was set, or last looked at. */
  frozenMs?: number;
  cancelled: boolean;
}

/** A small, fast generator (mulberry32): the same numbers for the same seed, everywhere. */
export function seededRandom(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class Scheduler {
  #now = startOfTime;
  #order = 0;
  readonly #heap = new Heap<Item>(
    (one, other) => one.at < other.at || (one.at === other.at && one.order < other.order),
  );
  readonly #idle = new Set<Item>();
  /** When the journal next has work for anybody. */
  nextWorkAt: () => number = () => Number.NEGATIVE_INFINITY;

  now(): number {
    return this.#now;
  }

  /** Does `act` after `afterMs`, unless `life` is dead by then; a stalled life does it when it wakes. */
  after(afterMs: number, act: () => void, life?: Life): void {
    const at = this.#now + Math.max(0, afterMs);
    this.#heap.add({ at, order: this.#next(), act, life, cancelled: false });
  }

  /** A clock on which the life's sleeps end late when it is stalled, and never when it is dead. */
  clockOf(life?: Life): Clock {
    return {
      now: () => this.#now + (life === undefined ? 0 : life.aheadMs - life.frozenMs),
      sleep: (forMs, signal) => this.#sleep(forMs, signal, life),
    };
  }

  /** A machine's clock that nobody sets. */
  monotonicOf(life: Life): () => number {
    return () => this.#now - life.frozenMs;
  }

  /** Lets time pass until `isOver`, or until nothing is left to happen, or until `untilMs`. */
  async run(isOver: () => boolean, untilMs: number): Promise<void> {
    await settled();
    while (!isOver()) {
      const item = this.#take(untilMs);
      if (item === undefined) break;
      item.act();
      await settled();
    }
  }

  #take(untilMs: number): Item | undefined {
    for (;;) {
      const idle = this.#nextIdle();
      // Asking when there is work may put something on the agenda, so it comes before the look at that.
      const idleAt = idle === undefined ? Number.POSITIVE_INFINITY : this.#idleEndsAt(idle);
      while (this.#heap.first?.cancelled) this.#heap.removeFirst();
      const first = this.#heap.first;
      const at = Math.min(first?.at ?? Number.POSITIVE_INFINITY, idleAt);
      if (at === Number.POSITIVE_INFINITY || at > untilMs) {
        this.#now = Math.max(this.#now, Math.min(at, untilMs));
        return undefined;
      }
      const item = idle !== undefined && idleAt <= (first?.at ?? idleAt) ? idle : first;
      if (item === undefined) return undefined;
      if (item === idle) this.#idle.delete(item);
      else this.#heap.removeFirst();
      if (item.life?.dead === true) continue;
      this.#now = Math.max(this.#now, at);
      if (item.frozenMs !== undefined && item.life !== undefined) {
        const stoodStillMs = item.life.frozenMs - item.frozenMs;
        item.frozenMs = item.life.frozenMs;
        if (stoodStillMs > 0) {
          item.at = at + stoodStillMs;
          this.#heap.add(item);
          continue;
        }
      }
      if (item.life !== undefined && item.life.stalledUntil > this.#now) {
        item.at = item.life.stalledUntil;
        this.#heap.add(item);
        continue;
      }
      return item;
    }
  }

  #nextIdle(): Item | undefined {
    let next: Item | undefined;
    for (const item of this.#idle) {
      if (item.cancelled || item.life?.dead === true) this.#idle.delete(item);
      else if (next === undefined || item.at < next.at) next = item;
    }
    return next;
  }

  #idleEndsAt(item: Item): number {
    return Math.max(item.at, this.nextWorkAt());
  }

  #sleep(forMs: number, signal: AbortSignal | undefined, life: Life | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const item: Item = {
        at: this.#now + Math.max(0, forMs),
        order: this.#next(),
        act: () => {
          signal?.removeEventListener('abort', give);
          resolve();
        },
        life,
        ...(life === undefined ? {} : { frozenMs: life.frozenMs }),
        cancelled: false,
      };
      const give = () => {
        item.cancelled = true;
        reject(signal?.reason);
      };
      signal?.addEventListener('abort', give, { once: true });
      if (forMs === idlePauseMs && life !== undefined) this.#idle.add(item);
      else this.#heap.add(item);
    });
  }

  #next(): number {
    this.#order += 1;
    return this.#order;
  }
}

/** Everything that is runnable now has run. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
