import { fileURLToPath } from 'node:url';
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { Faults } from './faults.ts';
import { type PubsubBroker, PubsubError, refuseDeadline } from './pubsub-broker.ts';
import {
  type AcknowledgeRequest,
  type ModifyAckDeadlineRequest,
  type PublishRequest,
  type PullRequest,
  type ReceivedMessages,
  receivedMessage,
  type SubscriptionMessage,
} from './pubsub-messages.ts';
import { type PullCall, PullStream } from './pull-stream.ts';

/** A Pull that waits for messages gives up after this long, and answers none. */
const pullWaitMs = 2_000;
const pullLookMs = 50;

/** Pub/Sub over gRPC, without TLS, as its official client speaks to an emulator. */
export class PubsubServer implements AsyncDisposable {
  readonly #server = new Server({ 'grpc.max_receive_message_length': 10 * 1024 * 1024 });
  readonly #broker: PubsubBroker;
  readonly #faults: Faults;
  readonly #streams = new Set<PullStream>();
  readonly #after: (ms: number, act: () => void) => void;

  constructor(broker: PubsubBroker, faults: Faults, after: (ms: number, act: () => void) => void) {
    this.#broker = broker;
    this.#faults = faults;
    this.#after = after;
    const definition = loadSync(fileURLToPath(new URL('pubsub.proto', import.meta.url)), {
      longs: Number,
      defaults: true,
    });
    const service = (name: string): ServiceDefinition =>
      definition[`google.pubsub.v1.${name}`] as ServiceDefinition;
    this.#server.addService(service('Publisher'), this.#publisher());
    this.#server.addService(service('Subscriber'), this.#subscriber());
  }

  /** Binds `host:port`; port 0 takes any. Answers the port. */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(
        `${host}:${port}`,
        ServerCredentials.createInsecure(),
        (error, bound) => (error === null ? resolve(bound) : reject(error)),
      );
    });
  }

  /** Ends every open stream with this status; UNAVAILABLE is what a lost connection looks like. */
  breakStreams(code: status = status.UNAVAILABLE): void {
    for (const stream of [...this.#streams]) stream.end(code, 'The stream was ended on demand.');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
  }

  #publisher(): UntypedServiceImplementation {
    const broker = this.#broker;
    return {
      CreateTopic: unary((topic: { name: string }) => {
        broker.createTopic(topic.name);
        return { name: topic.name };
      }),
      GetTopic: unary((request: { topic: string }) => {
        broker.topic(request.topic);
        return { name: request.topic };
      }),
      Publish: unary((request: PublishRequest) => ({
        messageIds: broker.publish(request.topic, request.messages),
      })),
    };
  }

  #subscriber(): UntypedServiceImplementation {
    const broker = this.#broker;
    return {
      CreateSubscription: unary(({ name, topic, ackDeadlineSeconds }: SubscriptionMessage) => {
        const made = broker.createSubscription(name, topic, ackDeadlineSeconds);
        return { name, topic, ackDeadlineSeconds: made.ackDeadlineSeconds };
      }),
      GetSubscription: unary((request: { subscription: string }) => {
        const { name, topic, ackDeadlineSeconds } = broker.subscription(request.subscription);
        return { name, topic, ackDeadlineSeconds };
      }),
      Acknowledge: unary((request: AcknowledgeRequest) => {
        broker.subscription(request.subscription).acknowledge(request.ackIds);
        return {};
      }),
      ModifyAckDeadline: unary((request: ModifyAckDeadlineRequest) => {
        refuseDeadline(request.ackDeadlineSeconds, 0);
        const subscription = broker.subscription(request.subscription);
        subscription.modifyDeadline(request.ackIds, request.ackDeadlineSeconds);
        return {};
      }),
      Pull: (call: ServerUnaryCall<PullRequest, ReceivedMessages>, answer: PullAnswer) =>
        this.#pull(call, answer, pullWaitMs),
      StreamingPull: (call: PullCall) => {
        const forget = (ended: PullStream): void => {
          this.#streams.delete(ended);
        };
        this.#streams.add(new PullStream(call, broker, this.#faults, forget));
      },
    };
  }

  #pull(
    call: ServerUnaryCall<PullRequest, ReceivedMessages>,
    answer: PullAnswer,
    leftMs: number,
  ): void {
    if (call.cancelled) return;
    const { subscription, maxMessages, returnImmediately } = call.request;
    try {
      const pulled = this.#broker.subscription(subscription).pull(maxMessages);
      if (pulled.length > 0 || returnImmediately || leftMs <= 0) {
        answer(null, { receivedMessages: pulled.map(receivedMessage) });
      } else {
        this.#after(pullLookMs, () => this.#pull(call, answer, leftMs - pullLookMs));
      }
    } catch (error) {
      answer(refusal(error));
    }
  }
}

type PullAnswer = sendUnaryData<ReceivedMessages>;

function unary<Request, Response>(carryOut: (request: Request) => Response) {
  return (call: ServerUnaryCall<Request, Response>, answer: sendUnaryData<Response>): void => {
    let response: Response;
    try {
      response = carryOut(call.request);
    } catch (error) {
      answer(refusal(error));
      return;
    }
    answer(null, response);
  };
}

function refusal(error: unknown): { readonly code: status; readonly details: string } {
  if (error instanceof PubsubError) return { code: error.code, details: error.message };
  const details = error instanceof Error ? error.message : String(error);
  return { code: status.INTERNAL, details };
}
