/*
 * The messages of pubsub.proto as @grpc/proto-loader hands them over (camelCase, defaults filled in, 64-bit
 * numbers as numbers).
 */
import type { Handed } from './subscription.ts';

export interface PubsubMessage {
  readonly data: Buffer;
  readonly attributes: Readonly<Record<string, string>>;
}

export interface PublishRequest {
  readonly topic: string;
  readonly messages: readonly PubsubMessage[];
}

export interface SubscriptionMessage {
  readonly name: string;
  readonly topic: string;
  readonly ackDeadlineSeconds: number;
}

export interface PullRequest {
  readonly subscription: string;
  readonly returnImmediately: boolean;
  readonly maxMessages: number;
}

export interface ModifyAckDeadlineRequest {
  readonly subscription: string;
  readonly ackDeadlineSeconds: number;
  readonly ackIds: readonly string[];
}

export interface AcknowledgeRequest {
  readonly subscription: string;
  readonly ackIds: readonly string[];
}

export interface StreamingPullRequest {
  readonly subscription: string;
  readonly ackIds: readonly string[];
  readonly modifyDeadlineSeconds: readonly number[];
  readonly modifyDeadlineAckIds: readonly string[];
  readonly streamAckDeadlineSeconds: number;
  readonly maxOutstandingMessages: number;
  readonly protocolVersion: number;
}

export interface ReceivedMessage {
  readonly ackId: string;
  readonly message: PubsubMessage & {
    readonly messageId: string;
    readonly publishTime: { readonly seconds: number; readonly nanos: number };
  };
  readonly deliveryAttempt: number;
}

export interface ReceivedMessages {
  readonly receivedMessages: readonly ReceivedMessage[];
}

export function receivedMessage({ ackId, message, attempt }: Handed): ReceivedMessage {
  const seconds = Math.floor(message.publishedAtMs / 1_000);
  const nanos = Math.round((message.publishedAtMs - seconds * 1_000) * 1e6);
  return {
    ackId,
    message: {
      data: message.data,
      attributes: message.attributes,
      messageId: String(message.index + 1),
      publishTime: { seconds, nanos },
    },
    deliveryAttempt: attempt,
  };
}
