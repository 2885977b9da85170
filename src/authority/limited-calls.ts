import { ProvisioningError } from '../errors.ts';
import type { CaCall, Events } from '../events/events.ts';
import { onBehalfOf } from '../events/stray-errors.ts';
import { type CallBudget, CallBudgetFullError } from '../time/call-budget.ts';
import type { Clock, Random } from '../time/clock.ts';
import { DeadlineError, withDeadline } from '../time/deadline.ts';
import { Slots } from '../time/slots.ts';
import { kindOf, unanswered } from './call-result.ts';

export interface CallLimits {
  /** The authority's name under `authorities` in the configuration. */
  readonly reference: string;
  readonly concurrency: number;
  /** How many calls may wait for a place; they hold a visit each. */
  readonly longestLine: number;
  readonly budget?: CallBudget;
  /** The deadline of every single call. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: Events;
}

/** The calls to one authority: each gets a place, a share of requestsPerSecond and a deadline. */
export class LimitedCalls {
  readonly #options: CallLimits;
  readonly #slots: Slots;

  constructor(options: CallLimits) {
    this.#options = options;
    this.#slots = new Slots(options.concurrency, options.longestLine);
  }

  /** Waits for a place, which is given back by calling the result; throws at once when too many wait. */
  enter(signal: AbortSignal): Promise<() => void> {
    const place = this.#slots.enter(signal);
    if (place === undefined) throw this.#tooMany();
    return place;
  }

  /** Waits for a call's share of the requests per second. */
  async takeShare(signal: AbortSignal): Promise<void> {
    try {
      await this.#options.budget?.take(signal);
    } catch (error) {
      if (!(error instanceof CallBudgetFullError)) throw error;
      throw new ProvisioningError('ca-throttled', error.message, {
        retryAfterMs: error.retryAfterMs,
      });
    }
  }

  /** One call under its deadline; its result and how long it took are reported. */
  async timed<Result>(
    call: CaCall,
    signal: AbortSignal,
    run: (inner: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const { clock, timeoutMs, events } = this.#options;
    const startedAt = performance.now();
    let result: string = 'error';
    try {
      const answer = await onBehalfOf(this.#options.reference, () =>
        withDeadline(clock, timeoutMs, signal, run),
      );
      result = kindOf(answer);
      return answer;
    } catch (error) {
      const known =
        error instanceof DeadlineError ? unanswered(this.#options.reference, error) : error;
      if (known instanceof ProvisioningError) result = known.code;
      throw known;
    } finally {
      const seconds = (performance.now() - startedAt) / 1_000;
      events.emit('caRequest', { authority: this.#options.reference, call, result, seconds });
    }
  }

  #tooMany(): ProvisioningError {
    const retryAfterMs = 500 + this.#options.random() * 1_500;
    const message = `All ${this.#options.concurrency} places of the authority ${this.#options.reference} are taken.`;
    return new ProvisioningError('ca-throttled', message, { retryAfterMs });
  }
}
