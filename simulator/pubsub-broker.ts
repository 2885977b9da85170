import { status } from '@grpc/grpc-js';
import type { PubsubMessage } from './pubsub-messages.ts';
import { type StoredMessage, Subscription, type SubscriptionParts } from './subscription.ts';

/** A call that Pub/Sub refuses, with its gRPC status code. */
export class PubsubError extends Error {
  readonly code: status;

  constructor(code: status, message: string) {
    super(message);
    this.code = code;
  }
}

const mostNames = 1_000;

/** Topics and subscriptions by their full names (`projects/…/topics/…`). */
export class PubsubBroker {
  readonly #parts: SubscriptionParts;
  readonly #topics = new Map<string, Set<Subscription>>();
  readonly #subscriptions = new Map<string, Subscription>();
  #published = 0;

  constructor(parts: SubscriptionParts) {
    this.#parts = parts;
  }

  createTopic(name: string): void {
    if (!/^projects\/[^/]+\/topics\/[^/]+$/.test(name)) {
      throw new PubsubError(status.INVALID_ARGUMENT, `${name} is not a topic's name`);
    }
    if (this.#topics.has(name)) {
      throw new PubsubError(status.ALREADY_EXISTS, `Topic already exists: ${name}`);
    }
    refuseTooMany(this.#topics.size);
    this.#topics.set(name, new Set());
  }

  topic(name: string): ReadonlySet<Subscription> {
    return this.#topicSet(name);
  }

  /** Answers the messages' ids. */
  publish(topic: string, messages: readonly PubsubMessage[]): string[] {
    const subscriptions = this.#topicSet(topic);
    return messages.map(({ data, attributes }) => {
      const message: StoredMessage = {
        index: this.#published,
        data,
        attributes,
        publishedAtMs: this.#parts.now(),
      };
      this.#published += 1;
      for (const subscription of subscriptions) subscription.publish(message);
      return String(message.index + 1);
    });
  }

  /** `ackDeadlineSeconds` 0 means Pub/Sub's default, 10. */
  createSubscription(name: string, topic: string, ackDeadlineSeconds: number): Subscription {
    if (!/^projects\/[^/]+\/subscriptions\/[^/]+$/.test(name)) {
      throw new PubsubError(status.INVALID_ARGUMENT, `${name} is not a subscription's name`);
    }
    const seconds = ackDeadlineSeconds === 0 ? 10 : ackDeadlineSeconds;
    refuseDeadline(seconds, 10);
    if (this.#subscriptions.has(name)) {
      throw new PubsubError(status.ALREADY_EXISTS, `Subscription already exists: ${name}`);
    }
    refuseTooMany(this.#subscriptions.size);
    const subscription = new Subscription(name, topic, seconds, this.#parts);
    this.#topicSet(topic).add(subscription);
    this.#subscriptions.set(name, subscription);
    return subscription;
  }

  /** Throws what the real service answers when it does not exist or, by the switch, is not ours to use. */
  subscription(name: string): Subscription {
    const access = this.#parts.faults.choice('pubsubAccess');
    if (access === 'denied') {
      throw new PubsubError(
        status.PERMISSION_DENIED,
        'User not authorized to perform this action.',
      );
    }
    const subscription = this.#subscriptions.get(name);
    if (subscription === undefined || access === 'missing') {
      throw new PubsubError(status.NOT_FOUND, `Resource not found (resource=${name}).`);
    }
    return subscription;
  }

  #topicSet(name: string): Set<Subscription> {
    const topic = this.#topics.get(name);
    if (topic === undefined) {
      throw new PubsubError(status.NOT_FOUND, `Resource not found (resource=${name}).`);
    }
    return topic;
  }
}

/** An ack deadline is `least` to 600 seconds. */
export function refuseDeadline(seconds: number, least: number): void {
  if (seconds >= least && seconds <= 600) return;
  throw new PubsubError(
    status.INVALID_ARGUMENT,
    `Invalid ack deadline given: ${seconds}; it must be between ${least} and 600 seconds.`,
  );
}

function refuseTooMany(size: number): void {
  if (size < mostNames) return;
  throw new PubsubError(status.RESOURCE_EXHAUSTED, `the simulator keeps ${mostNames} at most`);
}
