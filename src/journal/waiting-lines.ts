/*
 * Due entries wait in three lines. In the prompt one stand those that rested for a second at most: most devices
 * sign within it, and a certificate that is nearly there is finished first. In the fresh one stand new entries and
 * those whose visit broke off. In the patient one stands what rested for longer. With a hundred thousand devices that
 * do not answer, their looks alone can be more than there is time for; a device that answers at once must not stand
 * behind them, nor behind four thousand that are only just announced.
 *
 * The prompt line cannot starve the fresh one: rests grow, so a process stands there once or twice. The patient line
 * keeps a share of its own.
 */

export const line = { fresh: 0, prompt: 1, patient: 2 } as const;
export type Line = (typeof line)[keyof typeof line];

/** Who is to rest for longer than this comes back in the patient line, in milliseconds. */
export const longestPromptRestMs = 1_000;

/** The line of an entry that is to rest; undefined while its visit goes on. */
export function lineAfter(restMs: number | undefined): Line {
  if (restMs === undefined) return line.fresh;
  return restMs > longestPromptRestMs ? line.patient : line.prompt;
}

/** Of four places one is the patient line's. */
const patientShare = 4;

/** Counts the places of one instance, so that the patient line also gets its share where one is given at a time. */
export class Turnstile {
  #owed = 0;

  /** How many of `limit` places are the patient line's, if that many are due there. */
  reserve(limit: number): number {
    this.#owed += limit;
    const reserved = Math.floor(this.#owed / patientShare);
    this.#owed %= patientShare;
    return reserved;
  }
}
