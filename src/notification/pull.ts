import { Duplex } from 'node:stream';
import {
  type ClientConfig,
  type DebugMessage,
  Duration,
  type Message,
  PubSub,
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
  /** The stream is open: Pub/Sub has answered on it, or has not refused it for a while. */
  readonly onUp: () => void;
  /** The stream has ended and the library opens it again; `forMs` is how long that has not helped. */
  readonly onTrouble: (error: StatusError, forMs: number, count: number) => void;
}

/** The part of the time for the end that is kept for sending the last acknowledgements. */
const flushWithinMs = 1_000;

const largestOutstandingBytes = 16 * 1024 * 1024;

/** How long acknowledgements are collected. */
const batchMs = 20;

/** For emulators that answer no ping (Google's before 0.8.32): a subscription that is refused is refused sooner. */
const quietAfterOpeningMs = 3_000;

/** The library waits between its attempts; silence must be longer than that to mean anything. */
const longestRetryMs = 5_000;
const quietAfterTroubleMs = longestRetryMs + 3_000;

/** The part used here of what grpc-js tells about a call that is about to be made. */
interface OpeningCall {
  readonly methodDefinition: { readonly path: string };
  readonly call: unknown;
}

/**
 * One streaming pull, from opening to closing. The library opens a lost stream again by itself; what it considers
 * final (no such subscription, no permission, bad credentials) ends the pull.
 */
export class Pull {
  readonly #options: PullOptions;
  readonly #pubsub: PubSub;
  readonly #subscription: Subscription;
  /** Bounded by the flow control: what is here is outstanding. */
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

  constructor(config: ClientConfig, options: PullOptions) {
    this.#options = options;
    const ofGrpc = { 'grpc.callInvocationTransformer': this.#pinging };
    this.#pubsub = new PubSub({ ...config, ...ofGrpc });
    this.#subscription = this.#pubsub.subscription(options.subscription, {
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
    try {
      await this.#subscription.close();
    } finally {
      // A client that was never made cannot be closed; the reason is already known.
      await this.#pubsub.close().catch(() => undefined);
    }
  }

  /**
   * The library does not tell when a stream is open, and Pub/Sub need not say anything on one without messages. So
   * each stream is pinged as soon as it is opened: an empty request, which is answered on streams of protocol version
   * 1, the library's own (StreamingPullRequest.protocol_version).
   */
  readonly #pinging = <C extends OpeningCall>(opening: C): C => {
    const { call, methodDefinition } = opening;
    if (methodDefinition.path.endsWith('/StreamingPull') && call instanceof Duplex) {
      call.once('data', () => this.#up());
      // The library writes its first request before it lets go.
      setImmediate(() => {
        if (!this.#closing && call.writable) call.write({});
      });
    }
    return opening;
  };

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
      // Counted only for subscriptions with a dead-letter topic, otherwise 0.
      attempt: Math.max(1, message.deliveryAttempt),
      acknowledge: () => settle(() => message.ack()),
      release: () => settle(() => message.nack()),
    };
  }

  #onMessage(message: Message): void {
    // Closing gives them back; if they were released one by one, they would only come again until then.
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
    if (this.#closing || this.#failure !== undefined) return;
    clearTimeout(this.#quiet);
    this.#troubleSince = undefined;
    this.#troubles = 0;
    this.#options.onUp();
  }
}
