import type { Clock } from '../../src/time/clock.ts';

interface Sleeper {
  readonly dueAtMs: number;
  readonly wake: () => void;
}

/** A clock that stands until a test advances it. */
export class VirtualClock implements Clock {
  #nowMs = 0;
  readonly #sleepers = new Set<Sleeper>();

  now(): number {
    return this.#nowMs;
  }

  sleep(forMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const sleeper = { dueAtMs: this.#nowMs + forMs, wake: resolve };
      this.#sleepers.add(sleeper);
      signal?.addEventListener('abort', () => {
        this.#sleepers.delete(sleeper);
        reject(signal.reason);
      });
    });
  }

  /** Wakes whoever sleeps until then, in the order of their times, and lets them act. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    for (;;) {
      const due = [...this.#sleepers]
        .filter((sleeper) => sleeper.dueAtMs <= untilMs)
        .sort((one, other) => one.dueAtMs - other.dueAtMs)[0];
      if (due === undefined) break;
      this.#sleepers.delete(due);
      this.#nowMs = Math.max(this.#nowMs, due.dueAtMs);
      due.wake();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#nowMs = untilMs;
  }
}
