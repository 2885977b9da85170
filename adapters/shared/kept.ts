import { ProvisioningError } from '../../src/errors.ts';
import type { Clock } from '../../src/time/clock.ts';
import { untilAborted } from '../../src/time/until-aborted.ts';
import { beforeOrder } from './status-problem.ts';

export interface Fetched<Value> {
  readonly value: Value;
  /** When it is to be fetched anew, before it ends: milliseconds since the epoch, or infinite. */
  readonly renewAt: number;
}

/** Fetches a value: the first, or in the place of one that is to be renewed. */
export type Fetch<Value> = (
  held: Value | undefined,
  signal: AbortSignal,
) => Promise<Fetched<Value>>;

/**
 * A token, or what else is fetched once and then used by every call: however many wait for it, it is fetched once, and
 * none of their signals ends that. It is fetched again when its time comes, or when the server did not take it.
 */
export class Kept<Value> implements Disposable {
  readonly #clock: Clock;
  readonly #fetch: Fetch<Value>;
  readonly #closing = new AbortController();
  #held: Fetched<Value> | undefined;
  #fetching: Promise<Fetched<Value>> | undefined;

  constructor(clock: Clock, fetch: Fetch<Value>) {
    this.#clock = clock;
    this.#fetch = fetch;
  }

  async current(signal: AbortSignal): Promise<Value> {
    signal.throwIfAborted();
    const held = this.#held;
    if (held !== undefined && this.#clock.now() < held.renewAt) return held.value;
    this.#fetching ??= this.#renew(held?.value).finally(() => {
      this.#fetching = undefined;
    });
    return (await untilAborted(this.#fetching, signal)).value;
  }

  /**
   * Makes a call with the value, and once more with a fresh one where the value was why it was refused.
   *
   * @throws what `call` throws; what fails before it says that no order has left.
   */
  async using<Answer>(
    call: (value: Value) => Promise<Answer>,
    isRefused: (answer: Answer, value: Value) => boolean | Promise<boolean>,
    signal: AbortSignal,
  ): Promise<Answer> {
    const value = await beforeOrder(this.current(signal));
    const answer = await call(value);
    if (!(await isRefused(answer, value))) return answer;
    if (this.#held?.value === value) this.#held = undefined;
    return call(await beforeOrder(this.current(signal)));
  }

  [Symbol.dispose](): void {
    this.#closing.abort(new ProvisioningError('ca-unavailable', 'The authority is closed.'));
  }

  async #renew(held: Value | undefined): Promise<Fetched<Value>> {
    const { signal } = this.#closing;
    signal.throwIfAborted();
    this.#held = await this.#fetch(held, signal);
    return this.#held;
  }
}
