import type { Dispatcher } from 'undici';

/** One answer, its body read to the end. */
export interface Answer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  /** The headers `server` and `via`: who answered, where it was not Google. */
  readonly server?: string | undefined;
  readonly via?: string | undefined;
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
 * Sends one request and reads its answer. It goes through undici's dispatch and not through its request(),
 * because only a handler of one's own learns when a request is handed to a socket: what fails before then
 * was surely not carried out. undici itself repeats nothing here: a request whose socket dies is failed.
 *
 * `guard` is called when a connection is there and nothing is written yet.
 *
 * @throws {ExchangeError} when no whole answer came; the signal's reason when the caller aborted; what
 * `guard` throws.
 */
export function exchange(
  dispatcher: Dispatcher,
  request: Dispatcher.DispatchOptions,
  deadlineMs: number,
  guard: (() => void) | undefined,
  signal: AbortSignal,
): Promise<Answer> {
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const handler = new Exchange(deadlineMs, guard, signal, resolve, reject);
    try {
      dispatcher.dispatch(request, handler);
    } catch (error) {
      handler.onResponseError(undefined, error);
    }
  });
}

class Exchange implements Dispatcher.DispatchHandler {
  readonly #resolve: (answer: Answer) => void;
  readonly #reject: (error: unknown) => void;
  readonly #guard: (() => void) | undefined;
  readonly #signal: AbortSignal;
  readonly #timer: NodeJS.Timeout;
  #controller: Dispatcher.DispatchController | undefined;
  /** Why it was ended from this side. */
  #ended: Error | undefined;
  #settled = false;
  #status = 0;
  #retryAfter: string | undefined;
  #server: string | undefined;
  #via: string | undefined;
  #first: Buffer | undefined;
  #more: Buffer[] | undefined;
  #length = 0;

  constructor(
    deadlineMs: number,
    guard: (() => void) | undefined,
    signal: AbortSignal,
    resolve: (answer: Answer) => void,
    reject: (error: unknown) => void,
  ) {
    this.#resolve = resolve;
    this.#reject = reject;
    this.#guard = guard;
    this.#signal = signal;
    this.#timer = setTimeout(() => {
      this.#end(new Error(`no answer within ${deadlineMs} ms`), false);
    }, deadlineMs);
    signal.addEventListener('abort', this.#onAbort);
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
    try {
      this.#guard?.();
    } catch (error) {
      this.#settle();
      controller.abort(new Error('aborted'));
      this.#reject(error);
      return;
    }
    this.#controller = controller;
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
      body: body === undefined ? '' : body.toString('utf8'),
    });
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: unknown): void {
    if (this.#settled) return;
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
    this.#reject(new ExchangeError(message, this.#controller !== undefined, tooLarge, error));
  }

  #settle(): void {
    this.#settled = true;
    clearTimeout(this.#timer);
    this.#signal.removeEventListener('abort', this.#onAbort);
  }
}
