/** A minute after the last line of an outage that goes on, the next one. */
const remindEveryMs = 60_000;

/** What to say of one more failure: nothing, or how many there have been. */
export type Telling = { readonly tell: false } | { readonly tell: true; readonly failures: number };

/**
 * Failures in a row are told once at their beginning, once a minute while they go on, and once when they end.
 * Otherwise an outage of a minute would write a hundred lines that say the same.
 */
export class Outage {
  #failures = 0;
  #beganAt = 0;
  #toldAt = 0;

  failed(now: number): Telling {
    this.#failures += 1;
    if (this.#failures === 1) this.#beganAt = now;
    else if (now - this.#toldAt < remindEveryMs) return { tell: false };
    this.#toldAt = now;
    return { tell: true, failures: this.#failures };
  }

  /** How many there were, and for how long; nothing when there was none. */
  ended(now: number): { readonly failures: number; readonly seconds: number } | undefined {
    if (this.#failures === 0) return undefined;
    const outage = { failures: this.#failures, seconds: Math.round((now - this.#beganAt) / 1_000) };
    this.#failures = 0;
    return outage;
  }
}
