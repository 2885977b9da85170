import { AsyncLocalStorage } from 'node:async_hooks';
import type { Clock } from '../time/clock.ts';
import type { EventMap } from './events.ts';

/*
 * Errors that nobody waits for: a promise that was rejected and forgotten, a callback of a timer that throws, an
 * `error` event without a listener. Node would end the process, with the whole stack on standard error, and a plug-in
 * that does this at its start would end every start. Here such an error is reported as a bug, with the authority on
 * whose behalf it happened, and the others go on. That is safe because nothing of ours depends on it: our own work
 * awaits every promise, the journal writes in transactions, a visit that stands still loses its lease, and /livez
 * reports loops that stand still.
 */

const authorityAtWork = new AsyncLocalStorage<string>();

/** Whatever `work` begins or leaves behind is attributed to this authority. */
export function onBehalfOf<Result>(authority: string, work: () => Result): Result {
  return authorityAtWork.run(authority, work);
}

/** The authority on whose behalf this runs, if any. */
export function workingFor(): string | undefined {
  return authorityAtWork.getStore();
}

/** How many are reported in this time for each authority; the others are counted. */
const mostTold = 5;
const periodMs = 60_000;

interface Told {
  until: number;
  told: number;
  untold: number;
}

/** Listens to the process until it is disposed of. */
export class StrayErrors implements Disposable {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #told = new Map<string | undefined, Told>();
  #tell: (bug: EventMap['bug']) => void;
  readonly #listener = (error: unknown) => this.heard(error);

  constructor(clock: Pick<Clock, 'now'>, tell: (bug: EventMap['bug']) => void) {
    this.#clock = clock;
    this.#tell = tell;
    process.on('unhandledRejection', this.#listener);
    process.on('uncaughtException', this.#listener);
  }

  /** Where to report from now on. */
  tellTo(tell: (bug: EventMap['bug']) => void): void {
    this.#tell = tell;
  }

  heard(error: unknown): void {
    const authority = workingFor();
    const now = this.#clock.now();
    const before = this.#told.get(authority);
    const told = before !== undefined && now < before.until ? before : this.#begin(authority, now);
    if (told.told >= mostTold) {
      told.untold += 1;
      return;
    }
    told.told += 1;
    const untold = before === told ? 0 : (before?.untold ?? 0);
    const bug = {
      stray: true as const,
      ...(authority === undefined ? {} : { authority }),
      ...(untold === 0 ? {} : { untold }),
    };
    try {
      this.#tell({ error, ...bug });
    } catch (failure) {
      // Whatever is thrown here ends the process.
      this.#tell({ error: new Error('A stray error cannot be told.', { cause: failure }), ...bug });
    }
  }

  #begin(authority: string | undefined, now: number): Told {
    const begun = { until: now + periodMs, told: 0, untold: 0 };
    this.#told.set(authority, begun);
    return begun;
  }

  [Symbol.dispose](): void {
    process.off('unhandledRejection', this.#listener);
    process.off('uncaughtException', this.#listener);
  }
}
