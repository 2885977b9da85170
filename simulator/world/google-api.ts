import { GoogleError } from '../../src/errors.ts';
import { ExchangeError } from '../../src/google/exchange.ts';
import {
  asUnclear,
  errorOfAnswer,
  errorOfExchange,
  jsonOf,
} from '../../src/google/google-answer.ts';
import { narrowOperation } from '../../src/google/operation.ts';
import { narrowProcess } from '../../src/google/process.ts';
import type { ProcessReference, ProvisioningApi } from '../../src/google/provisioning-api.ts';
import type { Clock } from '../../src/time/clock.ts';
import type { Testimony } from '../../src/watch/clock-watch.ts';
import type { Method } from '../faults.ts';
import { failed } from '../google.ts';
import type { WorldGoogle } from './google.ts';
import type { Life } from './scheduler.ts';
import type { Trouble, Wire } from './wire.ts';

const mostAttempts = 3;

export interface WorldApiOptions {
  readonly google: WorldGoogle;
  readonly wire: Wire;
  readonly life: Life;
  /** The machine's own. */
  readonly clock: Clock;
  readonly askingTime: () => Testimony;
  /** As the worker's own client does it, or one that writes the intention down before its waits. */
  readonly writesLast: boolean;
}

/** Google as one instance reaches it. */
export class WorldApi implements ProvisioningApi {
  readonly #options: WorldApiOptions;

  constructor(options: WorldApiOptions) {
    this.#options = options;
  }

  async get(process: ProcessReference, signal: AbortSignal) {
    return narrowProcess(await this.#send('get', this.#idOf(process), {}, signal));
  }

  async claim(
    process: ProcessReference,
    callerInstanceId: string,
    beforeLeaving: () => Promise<void>,
    signal: AbortSignal,
  ) {
    const body = { callerInstanceId };
    await this.#send('claim', this.#idOf(process), body, signal, undefined, beforeLeaving);
  }

  async signData(
    process: ProcessReference,
    data: Uint8Array,
    algorithm: string,
    beforeLeaving: () => Promise<void>,
    signal: AbortSignal,
  ) {
    const signData = Buffer.from(data).toString('base64');
    const body = { signData, signatureAlgorithm: algorithm };
    if (!this.#options.writesLast) await beforeLeaving();
    const leave = this.#options.writesLast ? beforeLeaving : undefined;
    return narrowOperation(
      await this.#send('signData', this.#idOf(process), body, signal, undefined, leave),
    );
  }

  async operation(name: string, signal: AbortSignal) {
    const [, , , processId = '', , operation] = name.split('/');
    return narrowOperation(await this.#send('operation', processId, {}, signal, operation));
  }

  async uploadCertificate(process: ProcessReference, certificatePem: string, signal: AbortSignal) {
    this.#options.google.onUpload(process.processId, certificatePem);
    await this.#send('uploadCertificate', this.#idOf(process), { certificatePem }, signal);
  }

  async setFailure(process: ProcessReference, errorMessage: string, signal: AbortSignal) {
    await this.#send('setFailure', this.#idOf(process), { errorMessage }, signal);
  }

  async [Symbol.asyncDispose]() {
    // Nothing is open.
  }

  /** Google knows a process under its own customer only. */
  #idOf({ customer, processId }: ProcessReference): string {
    const owner = this.#options.google.processes.get(processId)?.spec.customer ?? customer;
    return customer === owner || customer === 'my_customer' ? processId : 'elsewhere';
  }

  /** As src/google/google-connection.ts repeats: what passes by itself, and never signData. */
  async #send(
    method: Method,
    processId: string,
    body: Readonly<Record<string, unknown>>,
    signal: AbortSignal,
    operation?: string,
    leave?: () => Promise<void>,
  ): Promise<unknown> {
    let unclear = false;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#attempt(method, processId, body, signal, operation, leave);
      } catch (error) {
        if (!(error instanceof GoogleError)) throw error;
        unclear ||= error.unclear;
        const passes = error.code === 'google-unavailable' || error.code === 'google-throttled';
        if (attempt >= mostAttempts || method === 'signData' || !passes) {
          throw unclear ? asUnclear(error) : error;
        }
        await this.#options.clock.sleep(200 * attempt, signal);
      }
    }
  }

  async #attempt(
    method: Method,
    processId: string,
    body: Readonly<Record<string, unknown>>,
    signal: AbortSignal,
    operation: string | undefined,
    leave: (() => Promise<void>) | undefined,
  ): Promise<unknown> {
    const testify = this.#options.askingTime();
    const answer = await this.#options.wire.send(
      { life: this.#options.life, port: 'google', method, processId },
      {
        ...(leave === undefined ? {} : { leave }),
        carryOut: () => ({
          ...this.#options.google.carryOut(method, processId, operation, body),
          tellDate: this.#options.google.dateOf(),
        }),
        problem: (trouble, status) => this.#problem(method, trouble, status),
      },
      signal,
    );
    answer.tellDate(testify);
    const whole = { ...answer, retryAfter: undefined };
    const result =
      answer.status === 200
        ? jsonOf(method, whole)
        : errorOfAnswer(method, whole, this.#options.clock.now());
    if (result instanceof GoogleError) throw result;
    return result;
  }

  #problem(method: Method, trouble: Trouble, status: number): GoogleError {
    if (trouble === 'fails' || trouble === 'fails-after') {
      return errorOfAnswer(
        method,
        { ...failed(status, 'A fate.'), retryAfter: undefined },
        this.#options.clock.now(),
      );
    }
    return errorOfExchange(method, new ExchangeError('the connection broke', true, false, trouble));
  }
}
