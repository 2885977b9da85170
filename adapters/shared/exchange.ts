import type { Dispatcher } from 'undici';
import { ProvisioningError } from '../../src/errors.ts';

/** How far a request has come; kept up while it is under way. */
export interface Progress {
  /** Whether a byte of it may have left this machine. */
  sent: boolean;
  /** The status of the answer, as soon as its head is there. */
  status?: number | undefined;
}

/** One answer, its body read to the end and as it came. */
export interface RawAnswer {
  readonly status: number;
  /** Names are in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

export const mostBodyBytes = 1024 * 1024;

/**
 * Sends one request and reads its answer. It goes through undici's dispatch and not through its request(), because
 * only a handler of one's own learns when a request is handed to a socket: what fails before then surely never left.
 * undici repeats nothing here.
 *
 * @throws undici's error when no whole answer came, {@link ProvisioningError} `ca-bad-answer` for more than 1 MiB, the
 * signal's reason when it is aborted.
 */
export function exchange(
  dispatcher: Dispatcher,
  request: Dispatcher.DispatchOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<RawAnswer> {
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const handler = new Exchange(progress, signal, resolve, reject);
    try {
      dispatcher.dispatch(request, handler);
    } catch (error) {
      handler.onResponseError(undefined, error);
    }
  });
}

class Exchange implements Dispatcher.DispatchHandler {
  readonly #progress: Progress;
  readonly #signal: AbortSignal;
  readonly #resolve: (answer: RawAnswer) => void;
  readonly #reject: (error: unknown) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #settled = false;
  #headers: RawAnswer['headers'] = {};
  readonly #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(
    progress: Progress,
    signal: AbortSignal,
    resolve: (answer: RawAnswer) => void,
    reject: (error: unknown) => void,
  ) {
    this.#progress = progress;
    this.#signal = signal;
    this.#resolve = resolve;
    this.#reject = reject;
    signal.addEventListener('abort', this.#onAbort);
  }

  readonly #onAbort = (): void => this.#end(this.#signal.reason);

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#settled) {
      // It was given up while it waited for its connection: nothing is written.
      controller.abort(new Error('aborted'));
      return;
    }
    this.#controller = controller;
    this.#progress.sent = true;
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: RawAnswer['headers'],
  ): void {
    if (status < 200) return;
    this.#progress.status = status;
    this.#headers = headers;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes <= mostBodyBytes) this.#chunks.push(chunk);
    else this.#end(tooLarge());
  }

  onResponseEnd(): void {
    if (this.#settled) return;
    this.#settle();
    const { status = 0 } = this.#progress;
    this.#resolve({ status, headers: this.#headers, body: Buffer.concat(this.#chunks) });
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: unknown): void {
    if (this.#settled) return;
    this.#settle();
    this.#reject(error);
  }

  #end(reason: unknown): void {
    if (this.#settled) return;
    this.#settle();
    this.#controller?.abort(new Error('aborted', { cause: reason }));
    this.#reject(reason);
  }

  #settle(): void {
    this.#settled = true;
    this.#signal.removeEventListener('abort', this.#onAbort);
  }
}

function tooLarge(): ProvisioningError {
  return new ProvisioningError(
    'ca-bad-answer',
    `The answer has more than ${mostBodyBytes / 1024} KiB.`,
  );
}
