import type { Clock } from './clock.ts';

export interface CallBudgetOptions {
  readonly requestsPerSecond: number;
  /** How many calls may be made at once after a quiet time. Default: one second's worth, at least one. */
  readonly burst?: number;
  /** How many callers may wait. */
  readonly queueLimit?: number;
  readonly clock: Clock;
}

/** More callers wait than the budget has room for. */
export class CallBudgetFullError extends Error {
  override readonly name = 'CallBudgetFullError';
  /** When the queue could have been worked off, in milliseconds. */
  readonly retryAfterMs: number;

  constructor(waiting: number, retryAfterMs: number) {
    super(`${waiting} calls already wait for the budget of requests per second.`);
    this.retryAfterMs = retryAfterMs;
  }
}

interface Waiter {
  grant(): void;
}

/** A token bucket: calls are let through at a steady rate, first come, first served. */
export class CallBudget {
  readonly #tokensPerMs: number;
  readonly #burst: number;
  readonly #queueLimit: number;
  readonly #clock: Clock;
  #tokens: number;
  #filledAt: number;
  /** In order of arrival; a Set, so that a caller that gives up can leave from the middle. */
  readonly #waiting = new Set<Waiter>();
  #pump: AbortController | undefined;

  constructor(options: CallBudgetOptions) {
    this.#tokensPerMs = options.requestsPerSecond / 1000;
    this.#burst = Math.max(1, options.burst ?? options.requestsPerSecond);
    this.#queueLimit = options.queueLimit ?? 10_000;
    this.#clock = options.clock;
    this.#tokens = this.#burst;
    this.#filledAt = options.clock.now();
  }

  /**
   * Resolves when one call may be made.
   *
   * @throws {CallBudgetFullError} when too many wait; the signal's reason when it is aborted first.
   */
  take(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#waiting.size === 0 && this.#takeToken()) return Promise.resolve();
    if (this.#waiting.size >= this.#queueLimit) {
      const retryAfterMs = Math.ceil(this.#waiting.size / this.#tokensPerMs);
      return Promise.reject(new CallBudgetFullError(this.#waiting.size, retryAfterMs));
    }
    return this.#wait(signal);
  }

  #wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#waiting.delete(waiter);
        if (this.#waiting.size === 0) this.#pump?.abort();
        reject(signal.reason);
      };
      const waiter: Waiter = {
        grant() {
          signal.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(waiter);
      if (this.#pump === undefined) this.#startPump();
    });
  }

  #startPump(): void {
    const pump = new AbortController();
    this.#pump = pump;
    const run = async () => {
      while (this.#waiting.size > 0) {
        const pauseMs = Math.max(1, Math.ceil((1 - this.#tokens) / this.#tokensPerMs));
        await this.#clock.sleep(pauseMs, pump.signal);
        for (const waiter of this.#waiting) {
          if (!this.#takeToken()) break;
          this.#waiting.delete(waiter);
          waiter.grant();
        }
      }
    };
    run()
      .catch((error: unknown) => {
        if (!pump.signal.aborted) throw error;
      })
      .finally(() => {
        this.#pump = undefined;
        // One may have arrived since the last one left.
        if (this.#waiting.size > 0) this.#startPump();
      });
  }

  #takeToken(): boolean {
    const now = this.#clock.now();
    // A clock that was set back gives nothing; one that was set forward gives no more than a burst.
    const gained = Math.max(0, now - this.#filledAt) * this.#tokensPerMs;
    this.#tokens = Math.min(this.#burst, this.#tokens + gained);
    this.#filledAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
