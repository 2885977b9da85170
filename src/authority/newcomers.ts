/*
 * While orders are held, one is tried now and then. A device that was rejected before is likely to be rejected again,
 * so the try belongs to one that was not, as long as there is one. Otherwise a few good devices would draw lots with
 * hundreds of blocked ones. Each instance knows the devices that it turned away itself, which is enough because they
 * come back to any instance.
 */
export class Newcomers {
  readonly #returnWithinMs: number;
  readonly #turnedAwayAt = new Map<string, number>();

  /** A device that is turned away comes back within that time. */
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
