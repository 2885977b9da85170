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

/**
 * The machine's clock. Node's own promised timers make an error with a stack for every wait that is cut short, and
 * ours are cut short all the time. These reject with the signal's reason as it is.
 */
export const systemClock: Clock = {
  now: () => Date.now(),
  sleep(forMs, signal) {
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let timer: NodeJS.Timeout | undefined;
    const wait = (leftMs: number) => {
      const pieceMs = Math.min(leftMs, longestTimerMs);
      timer = setTimeout(() => (leftMs > pieceMs ? wait(leftMs - pieceMs) : done()), pieceMs);
    };
    const done = () => {
      signal?.removeEventListener('abort', abort);
      resolve();
    };
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', abort, { once: true });
    wait(Math.max(0, forMs));
    return promise;
  },
};
