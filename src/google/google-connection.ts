import { buildConnector, type Dispatcher, Pool } from 'undici';
import { GoogleError } from '../errors.ts';
import type { Events, GoogleMethod } from '../events/events.ts';
import type { TokenSource } from '../google-auth/credentials.ts';
import { isLoopback } from '../network/host.ts';
import { poolOptions } from '../network/pool-options.ts';
import { proxyFor } from '../network/proxy.ts';
import { throughProxy } from '../network/tunnel.ts';
import { ownVersion } from '../own-version.ts';
import { type CallBudget, CallBudgetFullError } from '../time/call-budget.ts';
import type { Clock, Random } from '../time/clock.ts';
import { type Backoff, backoffMs } from '../time/retry.ts';
import type { Testimony } from '../watch/clock-watch.ts';
import { type Answer, ExchangeError, exchange } from './exchange.ts';
import {
  asUnclear,
  errorOfAnswer,
  errorOfExchange,
  isTroubleForAll,
  jsonOf,
} from './google-answer.ts';
import { wordsOfGoogle } from './google-words.ts';

export interface GoogleConnectionOptions {
  readonly tokens: TokenSource;
  readonly budget: CallBudget;
  readonly events: Events;
  readonly clock: Clock;
  readonly random: Random;
  /** Connections kept open to Google. */
  readonly connections?: number;
  /** How long one request may take, waiting for a connection included. */
  readonly deadlineMs?: number;
  /** Called before each request; what it returns takes the Date of an answer that is Google's own. */
  readonly askingTime?: () => Testimony;
}

export interface Call {
  readonly method: GoogleMethod;
  readonly path: string;
  /** JSON; absent for GET. */
  readonly body?: string;
  /** Awaited when token, budget and connection are there, before each attempt's first byte; may reject. */
  readonly beforeLeaving?: () => Promise<void>;
  /** After how many seconds Google is to give the call up (system parameter X-Server-Timeout). */
  readonly serverSeconds?: number;
}

const attempts = 3;
const pauses: Backoff = { firstMs: 250, mostMs: 4_000 };
/** No repeat begins later than this after the first attempt: a visit's lease is not much longer. */
const repeatWithinMs = 8_000;

/** Requests to one endpoint: token, budget, deadline, repeats. */
export class GoogleConnection {
  readonly #options: GoogleConnectionOptions;
  readonly #dispatcher: Dispatcher;
  readonly #origin: string;
  readonly #deadlineMs: number;
  #headers = requestHeaders(undefined);

  constructor(endpoint: URL, options: GoogleConnectionOptions) {
    const loopback = isLoopback(endpoint.hostname);
    if (endpoint.protocol !== 'https:' && !(endpoint.protocol === 'http:' && loopback)) {
      throw new Error(
        `google.endpoint must be an https URL: ${endpoint.origin} is not on loopback.`,
      );
    }
    this.#options = options;
    this.#origin = endpoint.origin;
    this.#deadlineMs = options.deadlineMs ?? 10_000;
    const pool = {
      connections: options.connections ?? 64,
      pipelining: 1,
      keepAliveTimeout: 10_000,
      ...poolOptions(this.#deadlineMs),
    };
    const proxy = proxyFor(endpoint);
    const direct = buildConnector({ allowH2: false, timeout: this.#deadlineMs });
    const connect = proxy === undefined ? direct : throughProxy(proxy, direct, this.#deadlineMs);
    this.#dispatcher = new Pool(this.#origin, { ...pool, connect });
  }

  /** Sends a call until it is answered or given up, and returns the answer's JSON object. */
  async send(call: Call, signal: AbortSignal): Promise<object> {
    const { clock, random } = this.#options;
    let startedAt: number | undefined;
    let unclear = false;
    let freshToken = false;
    for (let repeats = 0; ; ) {
      const header = await this.#permit(call, unclear, signal);
      startedAt ??= clock.now();
      const answer = await this.#attempt(call, header, signal);
      if (!(answer instanceof GoogleError)) return answer;
      if (answer.code === 'google-unauthenticated' && header !== undefined && !freshToken) {
        freshToken = true;
        this.#options.tokens.invalidate(header);
        continue;
      }
      unclear ||= answer.unclear;
      const pauseMs = Math.max(answer.retryAfterMs ?? 0, backoffMs(pauses, repeats, random));
      repeats += 1;
      const enough = repeats >= attempts || clock.now() - startedAt + pauseMs > repeatWithinMs;
      if (enough || call.method === 'signData' || !passesByItself(answer)) {
        throw unclear ? asUnclear(answer) : answer;
      }
      await clock.sleep(pauseMs, signal);
    }
  }

  /**
   * One request without credentials, for nothing but the Date of its answer. Rejects when Google itself did not
   * answer, or in words that are not known to be its own; a Date that agrees with our clock counts even then.
   */
  async askTime(path: string, testify: Testimony, signal: AbortSignal): Promise<void> {
    const { get: headers } = requestHeaders(undefined);
    const request = { origin: this.#origin, path, method: 'GET', headers } as const;
    const answer = await exchange(this.#dispatcher, request, this.#deadlineMs, undefined, signal);
    const isOwn = isGoogles('get', answer);
    tellDate(answer, (at, resolutionMs) => testify(at, resolutionMs, !isOwn));
    if (!isOwn) throw errorOfAnswer('get', answer, this.#options.clock.now());
  }

  async close(): Promise<void> {
    await this.#dispatcher.destroy();
  }

  /** Waits for a token and for the budget; gives the Authorization header. */
  async #permit(call: Call, unclear: boolean, signal: AbortSignal): Promise<string | undefined> {
    try {
      const header = await this.#options.tokens.header(signal);
      await this.#options.budget.take(signal);
      return header;
    } catch (error) {
      if (error instanceof GoogleError) throw unclear ? asUnclear(error) : error;
      if (!(error instanceof CallBudgetFullError)) throw error;
      throw new GoogleError('google-throttled', `${call.method}: ${error.message}`, {
        unclear,
        retryAfterMs: error.retryAfterMs,
      });
    }
  }

  /** One request on the wire. */
  async #attempt(
    call: Call,
    header: string | undefined,
    signal: AbortSignal,
  ): Promise<object | GoogleError> {
    if (this.#headers.authorization !== header) this.#headers = requestHeaders(header);
    const { clock, events } = this.#options;
    const { method, path, body, serverSeconds } = call;
    const { get, post } = this.#headers;
    const headers =
      serverSeconds === undefined ? post : { ...post, 'x-server-timeout': String(serverSeconds) };
    const request: Dispatcher.DispatchOptions =
      body === undefined
        ? { origin: this.#origin, path, method: 'GET', headers: get }
        : { origin: this.#origin, path, method: 'POST', headers, body };
    const testify = this.#options.askingTime?.();
    const startedAt = performance.now();
    let status: number | 'error' = 'error';
    let problem: string | undefined;
    const noted = (error: GoogleError) => {
      if (isTroubleForAll(error)) problem = error.message;
      // Somebody else's status would count as one of Google's.
      if (error.code === 'google-intercepted') status = 'error';
      return error;
    };
    try {
      const answer = await exchange(
        this.#dispatcher,
        request,
        this.#deadlineMs,
        call.beforeLeaving,
        signal,
      );
      status = answer.status;
      if (status < 200 || status > 299) {
        if (testify !== undefined && isGoogles(method, answer)) tellDate(answer, testify);
        return noted(errorOfAnswer(method, answer, clock.now()));
      }
      const json = jsonOf(method, answer);
      if (json instanceof GoogleError) return noted(json);
      if (testify !== undefined) tellDate(answer, testify);
      return json;
    } catch (error) {
      if (error instanceof ExchangeError) return noted(errorOfExchange(method, error));
      throw error;
    } finally {
      const seconds = (performance.now() - startedAt) / 1000;
      const trouble = problem === undefined ? {} : { problem };
      events.emit('googleRequest', { method, status, seconds, ...trouble });
    }
  }
}

function isGoogles(method: GoogleMethod, answer: Answer): boolean {
  if (answer.status >= 400) return wordsOfGoogle(answer) !== undefined;
  return answer.status < 300 && !(jsonOf(method, answer) instanceof GoogleError);
}

/** A Date has whole seconds (RFC 9110 5.6.7), and is made between the request and its answer. */
function tellDate({ date }: Answer, testify: Testimony): void {
  if (date !== undefined && !Number.isNaN(date)) testify(date, 1_000);
}

interface RequestHeaders {
  readonly authorization: string | undefined;
  readonly get: Record<string, string>;
  readonly post: Record<string, string>;
}

/** Made once for each token, not for each request. */
function requestHeaders(authorization: string | undefined): RequestHeaders {
  const get = {
    accept: 'application/json',
    'user-agent': `certprov/${ownVersion}`,
    ...(authorization === undefined ? {} : { authorization }),
  };
  return { authorization, get, post: { ...get, 'content-type': 'application/json' } };
}

function passesByItself(error: GoogleError): boolean {
  return error.code === 'google-unavailable' || error.code === 'google-throttled';
}
