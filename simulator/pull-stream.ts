import { type ServerDuplexStream, status } from '@grpc/grpc-js';
import type { Faults } from './faults.ts';
import { type PubsubBroker, PubsubError, refuseDeadline } from './pubsub-broker.ts';
import {
  type ReceivedMessages,
  receivedMessage,
  type StreamingPullRequest,
} from './pubsub-messages.ts';
import type { Handed, Subscription, Taker } from './subscription.ts';

export type PullCall = ServerDuplexStream<StreamingPullRequest, ReceivedMessages>;

/** Pub/Sub's own bound where the client gives none. */
const mostOutstanding = 1_000;

/** One StreamingPull: the first request opens it, later ones carry acknowledgements or are keep-alives. */
export class PullStream implements Taker {
  readonly #call: PullCall;
  readonly #broker: PubsubBroker;
  readonly #faults: Faults;
  readonly #onEnd: (stream: PullStream) => void;
  #subscription: Subscription | undefined;
  #ackDeadlineMs = 0;
  #most = mostOutstanding;
  /** Protocol version 1: pings are answered, and who gets no answer within 15 s takes the stream for dead. */
  #isModern = false;
  #outstanding = 0;
  #isFull = false;
  #ended = false;

  constructor(
    call: PullCall,
    broker: PubsubBroker,
    faults: Faults,
    onEnd: (stream: PullStream) => void,
  ) {
    this.#call = call;
    this.#broker = broker;
    this.#faults = faults;
    this.#onEnd = onEnd;
    call.on('data', (request: StreamingPullRequest) => this.#receive(request));
    call.on('end', () => this.end(status.OK, ''));
    call.on('cancelled', () => this.#leave());
    // After an error the call is over; grpc-js has told the client whatever can be told.
    call.on('error', () => this.#leave());
    call.on('drain', () => {
      this.#isFull = false;
      this.#subscription?.wake();
    });
  }

  room(): number {
    return this.#isFull || this.#ended ? 0 : this.#most - this.#outstanding;
  }

  ackDeadlineMs(): number {
    return this.#ackDeadlineMs;
  }

  take(messages: readonly Handed[]): void {
    this.#outstanding += messages.length;
    this.#isFull = !this.#call.write({ receivedMessages: messages.map(receivedMessage) });
    const last = messages.at(-1);
    if (last === undefined) return;
    if (this.#faults.happens('streamBreak', last.message.index, last.attempt)) {
      this.end(status.UNAVAILABLE, 'The stream was broken by the fault streamBreak.');
    }
  }

  released(): void {
    this.#outstanding -= 1;
  }

  /** Ends the call with this status; OK included. */
  end(code: status, details: string): void {
    if (this.#ended) return;
    this.#leave();
    if (code === status.OK) this.#call.end();
    else this.#call.emit('error', Object.assign(new Error(details), { code, details }));
  }

  #receive(request: StreamingPullRequest): void {
    if (this.#ended) return;
    try {
      if (this.#subscription === undefined) this.#open(request);
      else this.#goOn(this.#subscription, request);
    } catch (error) {
      if (error instanceof PubsubError) this.end(error.code, error.message);
      else this.end(status.INTERNAL, error instanceof Error ? error.message : String(error));
    }
  }

  #open(request: StreamingPullRequest): void {
    refuseDeadline(request.streamAckDeadlineSeconds, 10);
    this.#ackDeadlineMs = request.streamAckDeadlineSeconds * 1_000;
    if (request.maxOutstandingMessages > 0) this.#most = request.maxOutstandingMessages;
    this.#subscription = this.#broker.subscription(request.subscription);
    this.#isModern = request.protocolVersion >= 1;
    this.#subscription.join(this);
  }

  #goOn(subscription: Subscription, request: StreamingPullRequest): void {
    subscription.acknowledge(request.ackIds);
    request.modifyDeadlineAckIds.forEach((ackId, at) => {
      subscription.modifyDeadline([ackId], request.modifyDeadlineSeconds[at] ?? 0);
    });
    if (request.streamAckDeadlineSeconds !== 0) {
      refuseDeadline(request.streamAckDeadlineSeconds, 10);
      this.#ackDeadlineMs = request.streamAckDeadlineSeconds * 1_000;
    }
    if (this.#isModern && this.#faults.choice('pubsubPings') === 'answered') {
      this.#call.write({ receivedMessages: [] });
    }
  }

  #leave(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#subscription?.leave(this);
    this.#onEnd(this);
  }
}
