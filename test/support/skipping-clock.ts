import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../src/time/clock.ts';

/** A clock on which every sleep passes at once, and is written down. */
export class SkippingClock implements Clock {
  ms = 1_700_000_000_000;
  readonly slept: number[] = [];

  now(): number {
    return this.ms;
  }

  async sleep(forMs: number, signal?: AbortSignal): Promise<void> {
    await setImmediate(undefined, signal === undefined ? {} : { signal });
    this.slept.push(forMs);
    this.ms += forMs;
  }
}
