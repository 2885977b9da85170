/*
 * While orders are held one now and then is tried. Who was rejected already is likely to be so again, so the try belongs to
 * one that was not, as long as there is one: else a few good devices would draw lots with hundreds of blocked ones. Each
 * instance knows those that it turned away itself, which is enough since they come back to any.
 */
export class Newcomers {
  readonly #returnWithinMs: number;
  readonly #turnedAwayAt = new Map<string, number>();

  /** Who is turned away comes back within that time. */
  constructor(returnWithinMs: number) {
    this.#returnWithinMs = returnWithinMs;
  }

  turnedAway(profile: string, now: number): void {
    this.#turnedAwayAt.set(profile, now);
  }

  /** Whether one is about to come back. */
  areAwaited(profile: string, now: number): boolean {
    const agoMs = now - (this.#turnedAwayAt.get(profile) ?? Number.NEGATIVE_INFINITY);
    return agoMs >= 0 && agoMs <= this.#returnWithinMs;
  }
}
