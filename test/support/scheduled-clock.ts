import { Scheduler } from '../../simulator/world/scheduler.ts';
import type { Clock } from '../../src/time/clock.ts';

/** A clock that stands until a test advances it, and lets everybody act before, between and after. */
export class ScheduledClock implements Clock {
  readonly #scheduler = new Scheduler();
  readonly #clock = this.#scheduler.clockOf();

  now(): number {
    return this.#clock.now();
  }

  sleep(forMs: number, signal?: AbortSignal): Promise<void> {
    return this.#clock.sleep(forMs, signal);
  }

  advance(byMs: number): Promise<void> {
    return this.#scheduler.run(() => false, this.now() + byMs);
  }
}
