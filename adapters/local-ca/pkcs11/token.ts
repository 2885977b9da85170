import { setTimeout as sleepFor } from 'node:timers/promises';
import type { Library } from './library.ts';
import { OpenToken, type TokenPlace } from './open-token.ts';
import { isLost, tokenProblem } from './problem.ts';

/** How long a signature that does not come back holds up the end. */
const longestEndMs = 5_000;

/**
 * A token that is opened when it is first needed, and opened anew, once for a call, when its session was lost:
 * taken out and put back, its service restarted, its idle time over.
 *
 * @throws {ProvisioningError} `ca-unavailable` when the token is not there or fails, `ca-misconfigured` when
 * somebody must act.
 */
export class Token implements AsyncDisposable {
  /** For messages. */
  readonly description: string;
  readonly #library: Library;
  readonly #place: TokenPlace;
  #open: OpenToken | undefined;

  constructor(library: Library, place: TokenPlace) {
    this.#library = library;
    this.#place = place;
    const { tokenLabel, slot } = place;
    const which = tokenLabel === undefined ? `in slot ${slot}` : `"${tokenLabel}"`;
    this.description = `The token ${which} of ${library.path}`;
  }

  /** `work` may be done twice. */
  use<Result>(work: (open: OpenToken) => Result): Result {
    return this.#explained(() => {
      const open = this.#opened();
      try {
        return work(open);
      } catch (error) {
        if (!isLost(error)) throw error;
        this.#forget(open);
        return work(this.#opened());
      }
    });
  }

  /** For work that must not be repeated: nothing is opened anew. */
  useOnce<Result>(work: (open: OpenToken) => Result): Result {
    return this.#explained(() => work(this.#opened()));
  }

  async useSoon<Result>(work: (open: OpenToken) => Promise<Result>): Promise<Result> {
    try {
      const open = this.#opened();
      try {
        return await work(open);
      } catch (error) {
        if (!isLost(error)) throw error;
        this.#forget(open);
        return await work(this.#opened());
      }
    } catch (error) {
      throw tokenProblem(error, this.description);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    if (open === undefined) return;
    await Promise.race([open.end(), sleepFor(longestEndMs, undefined, { ref: false })]);
  }

  #opened(): OpenToken {
    this.#open ??= new OpenToken(this.#library, this.#place);
    return this.#open;
  }

  /** Of several calls that found the session lost, the first one counts. */
  #forget(open: OpenToken): void {
    if (this.#open !== open) return;
    this.#open = undefined;
    void open.end();
  }

  #explained<Result>(work: () => Result): Result {
    try {
      return work();
    } catch (error) {
      throw tokenProblem(error, this.description);
    }
  }
}
