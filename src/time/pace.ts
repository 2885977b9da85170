import type { Clock } from './clock.ts';

/**
 * How soon the next change of files is acted on. The adapter itself may write such a file, at each order perhaps. So
 * after each change the files are left alone for twice as long as before, and files that seldom change are read soon.
 */
export class Pace {
  readonly #clock: Clock;
  /** In milliseconds. */
  readonly #rest: { readonly least: number; readonly most: number };
  #takenUpAt = Number.NEGATIVE_INFINITY;
  #restMs: number;

  constructor(clock: Clock, rest: { readonly least: number; readonly most: number }) {
    this.#clock = clock;
    this.#rest = rest;
    this.#restMs = rest.least;
  }

  get rests(): boolean {
    // A clock that was set back must not end it.
    return Math.abs(this.#clock.now() - this.#takenUpAt) < this.#restMs;
  }

  takenUp(): void {
    const now = this.#clock.now();
    const { least, most } = this.#rest;
    const isSeldom = Math.abs(now - this.#takenUpAt) > 2 * most;
    this.#restMs = isSeldom ? least : Math.min(most, 2 * this.#restMs);
    this.#takenUpAt = now;
  }
}
