import { setTimeout as sleepFor } from 'node:timers/promises';

/** Time as a port, so that a day-long process runs in milliseconds in a test. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Waits `forMs` milliseconds; rejects with the signal's reason when it is aborted first. */
  sleep(forMs: number, signal?: AbortSignal): Promise<void>;
}

/** Chance as a port: a number in [0, 1), like `Math.random`. */
export type Random = () => number;

/** setTimeout fires at once for anything above 2^31-1 ms, so longer sleeps are cut into pieces. */
const longestTimerMs = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  async sleep(forMs, signal) {
    const options = signal === undefined ? {} : { signal };
    try {
      for (let leftMs = Math.max(0, forMs); ; leftMs -= longestTimerMs) {
        await sleepFor(Math.min(leftMs, longestTimerMs), undefined, options);
        if (leftMs <= longestTimerMs) return;
      }
    } catch (error) {
      // Node rejects with an error of its own that only has the reason as its cause.
      signal?.throwIfAborted();
      throw error;
    }
  },
};
