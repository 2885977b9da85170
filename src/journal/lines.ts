/*
 * Due entries wait in two lines. In the prompt one stand new entries, those whose visit broke off, and those that
 * rested for a second at most: most devices sign within it. In the patient one stands what rested for longer. With
 * a hundred thousand devices that do not answer, their looks alone can be more than there is time for; a device that
 * answers at once must not stand behind them.
 */

/** Who is to rest for longer than this comes back in the patient line, in milliseconds. */
export const longestPromptRestMs = 1_000;

/** Of four places one is the patient line's, so that neither line can starve the other. */
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
