import type { Clock } from '../src/time/clock.ts';
import { Heap } from './heap.ts';

interface Item {
  readonly dueAtMs: number;
  readonly act: () => void;
}

/**
 * Everything the simulator does later, in one heap behind one timer: a hundred thousand waiting devices cost
 * a hundred thousand small objects, not as many timers. Works with any Clock; what is due is done in order.
 */
export class Agenda implements Disposable {
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  readonly #heap = new Heap<Item>((one, other) => one.dueAtMs < other.dueAtMs);
  #alarm: { readonly dueAtMs: number; readonly controller: AbortController } | undefined;
  #closed = false;

  constructor(clock: Clock, onError: (error: unknown) => void) {
    this.#clock = clock;
    this.#onError = onError;
  }

  /** Does `act` after `afterMs` milliseconds; never at once, even when that is 0. */
  after(afterMs: number, act: () => void): void {
    if (this.#closed) return;
    const item = { dueAtMs: this.#clock.now() + Math.max(0, afterMs), act };
    this.#heap.add(item);
    if (this.#alarm === undefined || item.dueAtMs < this.#alarm.dueAtMs) this.#setAlarm();
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#heap.clear();
    this.#alarm?.controller.abort();
    this.#alarm = undefined;
  }

  #setAlarm(): void {
    this.#alarm?.controller.abort();
    this.#alarm = undefined;
    const first = this.#heap.first;
    if (first === undefined || this.#closed) return;
    const alarm = { dueAtMs: first.dueAtMs, controller: new AbortController() };
    this.#alarm = alarm;
    this.#clock.sleep(first.dueAtMs - this.#clock.now(), alarm.controller.signal).then(
      () => this.#ring(),
      (error: unknown) => {
        if (!alarm.controller.signal.aborted) this.#onError(error);
      },
    );
  }

  #ring(): void {
    const nowMs = this.#clock.now();
    // While it rings no alarm is set for what the actions add: the one below covers them all.
    this.#alarm = { dueAtMs: Number.NEGATIVE_INFINITY, controller: new AbortController() };
    for (let first = this.#heap.first; first !== undefined; first = this.#heap.first) {
      if (first.dueAtMs > nowMs) break;
      this.#heap.removeFirst();
      try {
        first.act();
      } catch (error) {
        this.#onError(error);
      }
    }
    this.#setAlarm();
  }
}
