import {
  type DebugMessage,
  Duration,
  type Message,
  type PubSub,
  StatusError,
  type Subscription,
} from '@google-cloud/pubsub';
import type { Delivery } from './inbox.ts';

export interface PullOptions {
  /** Full name. */
  readonly subscription: string;
  /** Messages that are here and not yet acknowledged. */
  readonly maxOutstanding: number;
  /** How long the end may take, in milliseconds. */
  readonly closeWithinMs: number;
  /** The stream stands, as far as can be told. */
  readonly onUp: () => void;
  /** The stream has ended and the library opens it again; `forMs` is how long that has not helped. */
  readonly onTrouble: (error: StatusError, forMs: number, count: number) => void;
}

/** Of the time for the end, what is kept for sending the last acknowledgements. */
const flushWithinMs = 1_000;

const largestOutstandingBytes = 16 * 1024 * 1024;

/** Acknowledgements are collected for so long. */
const batchMs = 20;

/** A subscription that does not exist is answered within a round trip; silence means that it is there. */
const quietAfterOpeningMs = 1_000;

/** The library waits between its attempts; silence must be longer than that to mean anything. */
const longestRetryMs = 5_000;
const quietAfterTroubleMs = longestRetryMs + 3_000;

/**
 * One streaming pull, from opening to closing. The library opens a lost stream again by itself; what it
 * takes for final (no such subscription, no permission, bad credentials) ends the pull.
 */
export class Pull {
  readonly #options: PullOptions;
  readonly #subscription: Subscription;
  /** Bounded by the flow control: what lies here is outstanding. */
  readonly #buffer: Message[] = [];
  #failure: unknown;
  #closing = false;
  /** Deliveries that were handed out and neither acknowledged nor released. */
  #handedOut = 0;
  #wake: () => void = () => undefined;
  #allBack: () => void = () => undefined;
  #quiet: NodeJS.Timeout | undefined;
  #troubleSince: number | undefined;
  #troubles = 0;

  constructor(pubsub: PubSub, options: PullOptions) {
    this.#options = options;
    this.#subscription = pubsub.subscription(options.subscription, {
      flowControl: {
        maxMessages: options.maxOutstanding,
        maxBytes: largestOutstandingBytes,
        allowExcessMessages: false,
      },
      // One stream: Google's own flow control counts for each stream by itself.
      streamingOptions: {
        maxStreams: 1,
        retryMaxBackoff: Duration.from({ milliseconds: longestRetryMs }),
      },
      batching: { maxMilliseconds: batchMs },
      // Messages are acknowledged as soon as they are written down; ten minutes is a journal in trouble.
      maxExtensionTime: Duration.from({ minutes: 10 }),
      closeOptions: {
        behavior: 'NACK',
        timeout: Duration.from({ milliseconds: flushWithinMs }),
      },
    });
    this.#subscription.on('error', (error) => this.#fail(error));
    this.#subscription.on('close', () => this.#fail(new Error('the stream was closed')));
    this.#subscription.on('debug', (message) => this.#onDebug(message));
    this.#subscription.on('message', (message) => this.#onMessage(message));
    this.#awaitQuiet(quietAfterOpeningMs);
  }

  /** Deliveries until the signal is aborted. Throws what ended the stream for good. */
  async *deliveries(signal: AbortSignal): AsyncGenerator<Delivery, void, void> {
    const onAbort = () => this.#wake();
    signal.addEventListener('abort', onAbort);
    try {
      while (!signal.aborted) {
        const message = this.#buffer.shift();
        if (message !== undefined) {
          yield this.#handOut(message);
        } else if (this.#failure !== undefined) {
          throw this.#failure;
        } else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /**
   * Waits until the deliveries that were handed out are acknowledged or released, but not longer than
   * `closeWithinMs`; then gives back all the rest and sees that the last acknowledgements go out.
   */
  async close(): Promise<void> {
    this.#closing = true;
    clearTimeout(this.#quiet);
    if (this.#handedOut > 0 && this.#subscription.isOpen) {
      const waitMs = Math.max(0, this.#options.closeWithinMs - flushWithinMs);
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#allBack = resolve;
        timer = setTimeout(resolve, waitMs);
      });
      clearTimeout(timer);
    }
    await this.#subscription.close();
  }

  #handOut(message: Message): Delivery {
    this.#handedOut += 1;
    let open = true;
    const settle = (settling: () => void) => {
      if (!open) return;
      open = false;
      settling();
      this.#handedOut -= 1;
      if (this.#handedOut === 0) this.#allBack();
    };
    return {
      body: message.data,
      // Counted only for subscriptions with a dead-letter topic, else 0.
      attempt: Math.max(1, message.deliveryAttempt),
      acknowledge: () => settle(() => message.ack()),
      release: () => settle(() => message.nack()),
    };
  }

  #onMessage(message: Message): void {
    // Given back by the closing; released one by one they would only come again until then.
    if (this.#closing) return;
    this.#buffer.push(message);
    this.#up();
    this.#wake();
  }

  #onDebug(message: DebugMessage): void {
    // Other debug messages are about acknowledgements that got lost: those messages come again.
    if (this.#closing || !(message.error instanceof StatusError)) return;
    this.#troubleSince ??= performance.now();
    this.#troubles += 1;
    this.#awaitQuiet(quietAfterTroubleMs);
    this.#options.onTrouble(message.error, performance.now() - this.#troubleSince, this.#troubles);
  }

  #fail(error: unknown): void {
    if (this.#closing || this.#failure !== undefined) return;
    clearTimeout(this.#quiet);
    this.#failure = error;
    this.#wake();
  }

  #awaitQuiet(forMs: number): void {
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.#up(), forMs);
  }

  #up(): void {
    clearTimeout(this.#quiet);
    this.#troubleSince = undefined;
    this.#troubles = 0;
    this.#options.onUp();
  }
}
