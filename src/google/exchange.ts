import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';

/** One answer, its body read to the end. */
export interface Answer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  /** The headers `server` and `via`: who answered, where it was not Google. */
  readonly server?: string | undefined;
  readonly via?: string | undefined;
  /** The header `date` (RFC 9110 6.6.1), in milliseconds since the epoch; not of an answer from a cache. */
  readonly date?: number | undefined;
  /** UTF-8. */
  readonly body: string;
}

/** No answer, or not a whole one. */
export class ExchangeError extends Error {
  override readonly name = 'ExchangeError';
  /** Whether a byte of the request may have left this machine. */
  readonly sent: boolean;
  readonly tooLarge: boolean;

  constructor(message: string, sent: boolean, tooLarge: boolean, cause: unknown) {
    super(message, { cause });
    this.sent = sent;
    this.tooLarge = tooLarge;
  }
}

/** The answers we read are a few kilobytes. */
const largestBody = 1024 * 1024;

/**
 * Sends one request and reads its answer. It goes through undici's dispatch and not through its request(), because
 * only a handler of our own learns when a request is handed to a socket: what fails before then was surely not
 * carried out. undici itself repeats nothing here: a request whose socket dies fails.
 *
 * `beforeLeaving` is called when a connection is there, this request's own, and nothing is written yet; the
 * bytes leave in the very turn in which it has resolved. That is so because undici writes nothing of a request
 * before its body gives a first piece, and the body waits for it. The deadline stands still meanwhile.
 *
 * @throws {ExchangeError} when no whole answer came; the signal's reason when the caller aborted; what
 * `beforeLeaving` throws, and then nothing has left.
 */
export function exchange(
  dispatcher: Dispatcher,
  request: Dispatcher.DispatchOptions,
  deadlineMs: number,
  beforeLeaving: (() => Promise<void>) | undefined,
  signal: AbortSignal,
): Promise<Answer> {
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const handler = new Exchange(deadlineMs, signal, resolve, reject);
    try {
      const { body } = request;
      const waits = beforeLeaving !== undefined && typeof body === 'string';
      dispatcher.dispatch(
        waits ? handler.heldBack(request, body, beforeLeaving) : request,
        handler,
      );
    } catch (error) {
      handler.onResponseError(undefined, error);
    }
  });
}

class Exchange implements Dispatcher.DispatchHandler {
  readonly #resolve: (answer: Answer) => void;
  readonly #reject: (error: unknown) => void;
  readonly #deadlineMs: number;
  readonly #signal: AbortSignal;
  #timer: NodeJS.Timeout | undefined;
  /** Whether a byte may have been handed to the socket. */
  #sent = false;
  /** Whether nothing may leave yet, and what undici has said meanwhile. */
  #holdsBack = false;
  #brokenMeanwhile: unknown;
  #controller: Dispatcher.DispatchController | undefined;
  /** Why it was ended from this side. */
  #ended: Error | undefined;
  #settled = false;
  #status = 0;
  #retryAfter: string | undefined;
  #server: string | undefined;
  #via: string | undefined;
  #date: number | undefined;
  #first: Buffer | undefined;
  #more: Buffer[] | undefined;
  #length = 0;

  constructor(
    deadlineMs: number,
    signal: AbortSignal,
    resolve: (answer: Answer) => void,
    reject: (error: unknown) => void,
  ) {
    this.#resolve = resolve;
    this.#reject = reject;
    this.#deadlineMs = deadlineMs;
    this.#signal = signal;
    this.#startTimer();
    signal.addEventListener('abort', this.#onAbort);
  }

  /** The same request, with a body that gives its bytes when `beforeLeaving` has resolved. */
  heldBack(
    request: Dispatcher.DispatchOptions,
    body: string,
    beforeLeaving: () => Promise<void>,
  ): Dispatcher.DispatchOptions {
    this.#holdsBack = true;
    const headers = { ...request.headers, 'content-length': String(Buffer.byteLength(body)) };
    // undici takes an iterable as it is, for less than a stream costs; its types leave that out.
    const pieces: AsyncIterable<string> = this.#released(body, beforeLeaving);
    return { ...request, headers, body: pieces as Readable };
  }

  /** Is asked for its first piece when this request has a connection of its own. */
  async *#released(body: string, beforeLeaving: () => Promise<void>): AsyncGenerator<string> {
    await this.#release(beforeLeaving);
    yield body;
  }

  async #release(beforeLeaving: () => Promise<void>): Promise<void> {
    clearTimeout(this.#timer);
    try {
      await beforeLeaving();
      if (this.#settled) throw this.#ended ?? new Error('aborted');
    } catch (error) {
      if (!this.#settled) {
        this.#settle();
        this.#reject(error);
      }
      throw error;
    }
    this.#holdsBack = false;
    if (this.#brokenMeanwhile !== undefined) {
      this.onResponseError(undefined, this.#brokenMeanwhile);
      throw this.#brokenMeanwhile;
    }
    this.#startTimer();
    this.#sent = true;
  }

  #startTimer(): void {
    this.#timer = setTimeout(() => {
      this.#end(new Error(`no answer within ${this.#deadlineMs} ms`), false);
    }, this.#deadlineMs);
  }

  readonly #onAbort = (): void => {
    this.#settle();
    this.#controller?.abort(new Error('aborted'));
    this.#reject(this.#signal.reason);
  };

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#settled) {
      // It gave up while it waited for a free connection: nothing is written.
      controller.abort(this.#ended ?? new Error('aborted'));
      return;
    }
    this.#controller = controller;
    if (!this.#holdsBack) this.#sent = true;
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (status < 200) return;
    this.#status = status;
    const retryAfter = headers['retry-after'];
    if (typeof retryAfter === 'string') this.#retryAfter = retryAfter;
    this.#server = headers['server']?.toString();
    this.#via = headers['via']?.toString();
    const { date, age } = headers;
    if (typeof date === 'string' && age === undefined) this.#date = Date.parse(date);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#length += chunk.length;
    if (this.#length > largestBody) {
      this.#end(new Error(`an answer larger than ${largestBody} bytes`), true);
    } else if (this.#first === undefined) {
      this.#first = chunk;
    } else {
      this.#more ??= [this.#first];
      this.#more.push(chunk);
    }
  }

  onResponseEnd(): void {
    if (this.#settled) return;
    this.#settle();
    const body = this.#more === undefined ? this.#first : Buffer.concat(this.#more);
    this.#resolve({
      status: this.#status,
      retryAfter: this.#retryAfter,
      server: this.#server,
      via: this.#via,
      date: this.#date,
      body: body === undefined ? '' : body.toString('utf8'),
    });
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: unknown): void {
    if (this.#settled) return;
    if (this.#holdsBack && this.#controller !== undefined) {
      // What is awaited before it leaves must have resolved before this is over.
      this.#brokenMeanwhile = error;
      return;
    }
    this.#settle();
    this.#fail(error, false);
  }

  #end(reason: Error, tooLarge: boolean): void {
    if (this.#settled) return;
    this.#settle();
    this.#ended = reason;
    this.#controller?.abort(reason);
    this.#fail(reason, tooLarge);
  }

  #fail(error: unknown, tooLarge: boolean): void {
    const message = error instanceof Error ? error.message || error.name : String(error);
    this.#reject(new ExchangeError(message, this.#sent, tooLarge, error));
  }

  #settle(): void {
    this.#settled = true;
    clearTimeout(this.#timer);
    this.#signal.removeEventListener('abort', this.#onAbort);
  }
}
