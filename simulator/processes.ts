import type { Clock } from '../src/time/clock.ts';
import { type DeviceSpecInput, parseDeviceSpec } from './device-spec.ts';
import type { Faults } from './faults.ts';
import type { DeviceKey, KeyPool } from './key-pool.ts';
import { notificationData } from './notification.ts';
import {
  isSettled,
  newProcess,
  type ProcessState,
  type ProcessView,
  processName,
  type SimulatedProcess,
  stateOf,
  viewOf,
} from './simulated-process.ts';

/** How a new process is told to whoever added the device. */
export interface AddedProcess {
  readonly name: string;
  readonly customer: string;
  readonly id: string;
}

export interface ProcessesParts {
  readonly seed: number;
  readonly faults: Faults;
  readonly clock: Clock;
  readonly keys: KeyPool;
  publish(data: Buffer): void;
}

interface Waiter {
  readonly open: Set<string>;
  readonly done: () => void;
}

/** All processes there are, and who waits for them to end. */
export class Processes {
  readonly #parts: ProcessesParts;
  readonly #processes = new Map<string, SimulatedProcess>();
  readonly #waiters = new Set<Waiter>();
  #added = 0;

  constructor(parts: ProcessesParts) {
    this.#parts = parts;
  }

  async addDevices(input: DeviceSpecInput): Promise<AddedProcess[]> {
    const spec = parseDeviceSpec(input);
    const keys = await Promise.all(
      Array.from({ length: spec.count }, () => this.#parts.keys.take(spec.key)),
    );
    return keys.map((key) => {
      const index = this.#added;
      this.#added += 1;
      const { seed, clock } = this.#parts;
      const process = newProcess(seed, { index, spec, key, nowMs: clock.now() });
      this.#processes.set(process.id, process);
      if (spec.notify) this.#notify(process);
      return { name: processName(process), customer: spec.customer, id: process.id };
    });
  }

  find(id: string): SimulatedProcess | undefined {
    return this.#processes.get(id);
  }

  view(id: string): ProcessView | undefined {
    const process = this.#processes.get(id);
    return process === undefined ? undefined : viewOf(process);
  }

  keyOf(id: string): DeviceKey | undefined {
    return this.#processes.get(id)?.key;
  }

  views(): ProcessView[] {
    return [...this.#processes.values()].map(viewOf);
  }

  summary(): Record<ProcessState, number> {
    const counts = {
      created: 0,
      claimed: 0,
      signing: 0,
      signed: 0,
      uploaded: 0,
      delivered: 0,
      failed: 0,
      gone: 0,
    };
    for (const process of this.#processes.values()) counts[stateOf(process)] += 1;
    return counts;
  }

  republish(): number {
    const open = [...this.#processes.values()].filter((process) => !isSettled(process));
    for (const process of open) this.#notify(process);
    return open.length;
  }

  settle(process: SimulatedProcess): void {
    for (const waiter of this.#waiters) {
      if (waiter.open.delete(process.id) && waiter.open.size === 0) waiter.done();
    }
  }

  async settled(
    ids: readonly string[],
    options: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {},
  ): Promise<ProcessView[]> {
    const processes = ids.map((id) => {
      const process = this.#processes.get(id);
      if (process === undefined) throw new Error(`there is no process ${id}`);
      return process;
    });
    const open = new Set(processes.filter((one) => !isSettled(one)).map((one) => one.id));
    if (open.size > 0) await this.#wait(open, options.timeoutMs ?? 30_000, options.signal);
    return processes.map(viewOf);
  }

  async #wait(open: Set<string>, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { open, done: resolve };
    this.#waiters.add(waiter);
    const stop = new AbortController();
    const aborted = (): void => reject(signal?.reason);
    if (signal?.aborted) aborted();
    signal?.addEventListener('abort', aborted);
    this.#parts.clock.sleep(timeoutMs, stop.signal).then(
      () => reject(this.#stillOpen(open, timeoutMs)),
      // Only the line below ends the sleep early, and then nobody listens any more.
      (error: unknown) => reject(error),
    );
    try {
      await promise;
    } finally {
      stop.abort();
      signal?.removeEventListener('abort', aborted);
      this.#waiters.delete(waiter);
    }
  }

  #stillOpen(open: ReadonlySet<string>, timeoutMs: number): Error {
    const states = new Map<string, number>();
    for (const id of open) {
      const state = this.view(id)?.state ?? 'unknown';
      states.set(state, (states.get(state) ?? 0) + 1);
    }
    const counts = [...states].map(([state, count]) => `${count} ${state}`).join(', ');
    return new Error(
      `${open.size} of the processes have not ended after ${timeoutMs} ms (${counts}; seed ${this.#parts.seed})`,
    );
  }

  #notify(process: SimulatedProcess): void {
    const { faults, publish } = this.#parts;
    const customers = {
      obfuscated: process.spec.customer,
      my_customer: 'my_customer',
      missing: undefined,
    };
    const customer = customers[faults.choice('customerForm')];
    publish(notificationData(process.id, customer, faults.choice('messageFormat'), process.index));
  }
}
