import type { Clock } from '../src/time/clock.ts';

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
  readonly #heap: Item[] = [];
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
    this.#heap.push(item);
    this.#rise(this.#heap.length - 1);
    if (this.#alarm === undefined || item.dueAtMs < this.#alarm.dueAtMs) this.#setAlarm();
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#heap.length = 0;
    this.#alarm?.controller.abort();
    this.#alarm = undefined;
  }

  #setAlarm(): void {
    this.#alarm?.controller.abort();
    this.#alarm = undefined;
    const first = this.#heap[0];
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
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (first.dueAtMs > nowMs) break;
      this.#removeFirst();
      try {
        first.act();
      } catch (error) {
        this.#onError(error);
      }
    }
    this.#setAlarm();
  }

  #rise(start: number): void {
    for (let at = start; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (this.#dueAt(parent) <= this.#dueAt(at)) return;
      this.#swap(parent, at);
      at = parent;
    }
  }

  #removeFirst(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      const child = this.#dueAt(left + 1) < this.#dueAt(left) ? left + 1 : left;
      if (this.#dueAt(at) <= this.#dueAt(child)) return;
      this.#swap(at, child);
      at = child;
    }
  }

  #dueAt(index: number): number {
    return this.#heap[index]?.dueAtMs ?? Number.POSITIVE_INFINITY;
  }

  #swap(one: number, other: number): void {
    const a = this.#heap[one];
    const b = this.#heap[other];
    if (a === undefined || b === undefined) return;
    this.#heap[one] = b;
    this.#heap[other] = a;
  }
}
