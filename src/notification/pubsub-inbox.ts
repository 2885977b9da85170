import type { ClientConfig } from '@google-cloud/pubsub';
import { PassThroughClient } from 'google-auth-library';
import type { Events } from '../events/events.ts';
import { createAuthClient } from '../google-auth/auth-client.ts';
import type { GoogleCredentials } from '../google-auth/google-credentials.ts';
import { proxyFor } from '../network/proxy.ts';
import { proxyProblem } from '../network/tunnel.ts';
import type { Clock, Random } from '../time/clock.ts';
import { type Backoff, backoffMs } from '../time/retry.ts';
import { untilAborted } from '../time/until-aborted.ts';
import type { Delivery, Inbox } from './inbox.ts';
import { problemOf } from './pubsub-problem.ts';
import { Pull } from './pull.ts';

export interface PubsubInboxOptions {
  readonly project: string;
  /** Its name in the project. */
  readonly subscription: string;
  /** Host and port of an emulator, or of another endpoint of Google's; undefined: Google's usual one. */
  readonly endpoint: string | undefined;
  /** For Google's own endpoint; an emulator is asked without any. */
  readonly credentials: GoogleCredentials;
  /** How many messages may be taken and not yet acknowledged. */
  readonly maxOutstanding?: number;
  /** How long to wait at the end for deliveries that are still in somebody's hands, in milliseconds. */
  readonly closeWithinMs?: number;
  readonly events: Events;
  readonly clock: Clock;
  readonly random: Random;
}

const pubsubScope = 'https://www.googleapis.com/auth/pubsub';
const pubsubHost = new URL('https://pubsub.googleapis.com');
const reopening: Backoff = { firstMs: 1_000, mostMs: 60_000 };

/** How long the library's own retries go on before operators hear of it. */
const patienceMs = 10_000;

/**
 * A Pub/Sub subscription, pulled by streaming. Whatever ends the stream, even a missing subscription or permission,
 * it is opened again after a pause of up to a minute, so an administrator's fix needs no restart. The `inbox` event
 * says what to fix.
 */
export class PubsubInbox implements Inbox {
  readonly #options: PubsubInboxOptions;
  readonly #name: string;
  readonly #disposed = new AbortController();
  #ups = 0;
  /** What was last reported about the connection: nothing yet, that it is up, or the problem. */
  #told: 'nothing' | 'up' | { readonly problem: string } = 'nothing';

  constructor(options: PubsubInboxOptions) {
    this.#options = options;
    this.#name = `projects/${options.project}/subscriptions/${options.subscription}`;
  }

  async *deliveries(callersSignal: AbortSignal): AsyncGenerator<Delivery, void, void> {
    const signal = AbortSignal.any([callersSignal, this.#disposed.signal]);
    for (let failures = 0; !signal.aborted; failures += 1) {
      try {
        yield* this.#session(signal, () => {
          failures = 0;
        });
      } catch (error) {
        if (signal.aborted) return;
        await this.#tellTrouble(error);
        await this.#pause(backoffMs(reopening, failures, this.#options.random), signal);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed.abort(new Error('the inbox is closed'));
  }

  /** Deliveries of one opened subscription; throws what ended it. */
  async *#session(signal: AbortSignal, onUp: () => void): AsyncGenerator<Delivery, void, void> {
    const config = await untilAborted(this.#clientConfig(), signal);
    const pull = new Pull(config, {
      subscription: this.#name,
      maxOutstanding: this.#options.maxOutstanding ?? 500,
      closeWithinMs: this.#options.closeWithinMs ?? 5_000,
      onUp: () => {
        onUp();
        this.#tellUp();
      },
      onTrouble: (error, forMs, count) => {
        const atStart = this.#told === 'nothing' && count >= 2;
        if (atStart || forMs >= patienceMs) {
          void this.#tellTrouble(error);
        }
      },
    });
    try {
      yield* pull.deliveries(signal);
    } finally {
      await pull.close();
    }
  }

  async #clientConfig(): Promise<ClientConfig> {
    const { credentials, project: projectId, endpoint } = this.#options;
    const where = { projectId, ...(endpoint === undefined ? {} : { apiEndpoint: endpoint }) };
    if (isEmulator(endpoint)) {
      // Without a client of its own the library would look for credentials, on the metadata server too.
      const authClient = new PassThroughClient();
      return { ...where, emulatorMode: true, authClient };
    }
    if (credentials === 'none') {
      throw new Error('google.credentials is none, and only an emulator is read without any');
    }
    const authClient = await createAuthClient(credentials, [pubsubScope]);
    // gRPC reads the variables once more, with rules of its own about what needs no proxy.
    const proxied = proxyFor(pubsubHost) === undefined ? 0 : 1;
    const ofGrpc = { 'grpc.enable_http_proxy': proxied };
    return { ...where, ...ofGrpc, emulatorMode: false, authClient };
  }

  async #pause(forMs: number, signal: AbortSignal): Promise<void> {
    try {
      await this.#options.clock.sleep(forMs, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** gRPC says only that there is no connection; this finds out what a proxy on the way says. */
  async #tellTrouble(error: unknown): Promise<void> {
    const { endpoint } = this.#options;
    const problem = problemOf(error, this.#name, endpoint);
    const ups = this.#ups;
    const ofProxy = isEmulator(endpoint) ? undefined : await proxyProblem(pubsubHost);
    if (this.#ups !== ups) return;
    this.#tellDown(ofProxy === undefined ? problem : `${problem} (${ofProxy})`);
  }

  #tellUp(): void {
    this.#ups += 1;
    if (this.#told === 'up') return;
    this.#told = 'up';
    this.#options.events.emit('inbox', { up: true });
  }

  #tellDown(problem: string): void {
    if (typeof this.#told === 'object' && this.#told.problem === problem) return;
    this.#told = { problem };
    this.#options.events.emit('inbox', { up: false, problem });
  }
}

/** Anything that is not Google's own. */
function isEmulator(endpoint: string | undefined): boolean {
  const google = /^(https:\/\/)?[\w-]+(\.[\w-]+)*\.googleapis\.com(:\d+)?\/?$/;
  return endpoint !== undefined && !google.test(endpoint);
}
