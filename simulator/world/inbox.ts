import type { Delivery, Inbox } from '../../src/notification/inbox.ts';
import type { Life, Scheduler } from './scheduler.ts';

/** An unacknowledged message comes again after this long. */
const ackDeadlineMs = 60_000;

interface Message {
  readonly processId: string;
  readonly body: Uint8Array;
  attempt: number;
  done: boolean;
}

export interface WorldInboxOptions {
  readonly scheduler: Scheduler;
  readonly random: () => number;
  /** Called when a message is acknowledged, with its process. */
  readonly onAcknowledge: (processId: string) => void;
  /** Chance that an acknowledgement is lost. */
  readonly ackLost: number;
}

interface Listener {
  readonly life: Life;
  readonly take: (message: Message) => void;
}

/** One subscription and its listeners. Delivers at least once. */
export class WorldInbox {
  readonly #options: WorldInboxOptions;
  readonly #listeners = new Set<Listener>();
  readonly messages: Message[] = [];
  acknowledged = 0;
  released = 0;

  constructor(options: WorldInboxOptions) {
    this.#options = options;
  }

  /** Whether nothing will be delivered any more. */
  get isEmpty(): boolean {
    return this.messages.every(({ done }) => done);
  }

  publish(processId: string, body: Uint8Array, afterMs: number): void {
    const message = { processId, body, attempt: 0, done: false };
    this.messages.push(message);
    this.#options.scheduler.after(afterMs, () => this.#deliver(message));
  }

  viewOf(life: Life): Inbox {
    return {
      deliveries: (signal) => this.#deliveries(life, signal),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }

  #deliver(message: Message): void {
    if (message.done) return;
    const { scheduler, random } = this.#options;
    const awake = [...this.#listeners].filter(
      ({ life }) => !life.dead && life.stalledUntil <= scheduler.now(),
    );
    const chosen = awake[Math.floor(random() * awake.length)];
    if (chosen === undefined) return void scheduler.after(1_000, () => this.#deliver(message));
    message.attempt += 1;
    chosen.take(message);
    scheduler.after(ackDeadlineMs, () => this.#deliver(message));
  }

  async *#deliveries(life: Life, signal: AbortSignal): AsyncIterable<Delivery> {
    const waiting: Message[] = [];
    let wake: () => void = () => undefined;
    const listener: Listener = {
      life,
      take: (message) => {
        waiting.push(message);
        wake();
      },
    };
    this.#listeners.add(listener);
    const stop = () => {
      this.#listeners.delete(listener);
      wake();
    };
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    while (!signal.aborted) {
      const next = waiting.shift();
      if (next !== undefined) yield this.#delivery(next);
      else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  }

  #delivery(message: Message): Delivery {
    const { scheduler, random, ackLost, onAcknowledge } = this.#options;
    return {
      body: message.body,
      attempt: message.attempt,
      acknowledge: () => {
        this.acknowledged += 1;
        onAcknowledge(message.processId);
        if (random() >= ackLost) message.done = true;
      },
      release: () => {
        this.released += 1;
        scheduler.after(1_000, () => this.#deliver(message));
      },
    };
  }
}
