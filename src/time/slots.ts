/** A bounded number of places and a bounded line in front of them, first come, first served. */
export class Slots {
  readonly #places: number;
  readonly #longestLine: number;
  #taken = 0;
  readonly #line: (() => void)[] = [];

  constructor(places: number, longestLine: number) {
    this.#places = places;
    this.#longestLine = longestLine;
  }

  /**
   * Undefined when the line is full. Otherwise a promise of a place, which is given back by calling the promise's
   * result; it rejects with the signal's reason when the signal is aborted first.
   */
  enter(signal: AbortSignal): Promise<() => void> | undefined {
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#taken < this.#places) {
      this.#taken += 1;
      return Promise.resolve(this.#leaver());
    }
    if (this.#line.length >= this.#longestLine) return undefined;
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        this.#line.splice(this.#line.indexOf(proceed), 1);
        reject(signal.reason);
      };
      const proceed = () => {
        signal.removeEventListener('abort', giveUp);
        resolve(this.#leaver());
      };
      signal.addEventListener('abort', giveUp, { once: true });
      this.#line.push(proceed);
    });
  }

  #leaver(): () => void {
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const next = this.#line.shift();
      // The place passes on to the next in line, so the number of taken ones stays.
      if (next === undefined) this.#taken -= 1;
      else next();
    };
  }
}
