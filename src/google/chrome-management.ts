import { GoogleError } from '../errors.ts';
import type { SignatureAlgorithm } from '../request/signature-algorithm.ts';
import type { Testimony } from '../watch/clock-watch.ts';
import { type Call, GoogleConnection, type GoogleConnectionOptions } from './google-connection.ts';
import { isOperationName, narrowOperation, processIdOf } from './operation.ts';
import { narrowProcess, type ProvisioningProcess } from './process.ts';
import {
  type ProcessReference,
  type ProvisioningApi,
  type SignDataOperation,
  signDataServerSeconds,
} from './provisioning-api.ts';

export interface ChromeManagementOptions extends GoogleConnectionOptions {
  /** The API's root, an https URL; http only on loopback. */
  readonly endpoint: string;
}

const safeId = /^[\w-]{1,200}$/;

/**
 * Google's API over HTTP. All methods but signData repeat what passes by itself: connection errors, 408,
 * 429 and 5xx, at most twice and within eight seconds; a longer Retry-After is left to the caller. A 401 is
 * answered once with a fresh token, for signData too, because then nothing was carried out.
 *
 * `unclear` in the GoogleError that is thrown covers all attempts of the call: a 400 after an attempt whose answer
 * was lost may be the echo of our own success, so it is `unclear: true`. A caller of claim has to `get` the process
 * before believing such a 400. For get and operation, which change nothing, it is false.
 *
 * When the caller's signal is aborted, its reason is thrown as it is, and the call may have been carried out.
 */
export class ChromeManagement implements ProvisioningApi {
  readonly #connection: GoogleConnection;
  readonly #root: string;

  constructor(options: ChromeManagementOptions) {
    const endpoint = new URL(options.endpoint);
    this.#connection = new GoogleConnection(endpoint, options);
    this.#root = `${endpoint.pathname.replace(/\/+$/, '')}/v1/`;
  }

  async get(process: ProcessReference, signal: AbortSignal): Promise<ProvisioningProcess> {
    const call: Call = { method: 'get', path: this.#pathOf(process) };
    const found = narrowProcess(await this.#connection.send(call, signal));
    if (processIdOf(found.name) === process.processId) return found;
    throw new GoogleError('google-bad-answer', 'get: Google answered with another process.', {
      unclear: false,
    });
  }

  async claim(
    process: ProcessReference,
    callerInstanceId: string,
    beforeLeaving: () => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const body = JSON.stringify({ callerInstanceId });
    const path = `${this.#pathOf(process)}:claim`;
    await this.#connection.send({ method: 'claim', path, body, beforeLeaving }, signal);
  }

  async signData(
    process: ProcessReference,
    data: Uint8Array,
    algorithm: SignatureAlgorithm,
    beforeLeaving: () => Promise<void>,
    signal: AbortSignal,
  ): Promise<SignDataOperation> {
    const signData = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64');
    const body = JSON.stringify({ signData, signatureAlgorithm: algorithm });
    const path = `${this.#pathOf(process)}:signData`;
    const call: Call = {
      method: 'signData',
      path,
      body,
      beforeLeaving,
      serverSeconds: signDataServerSeconds,
    };
    const json = await this.#connection.send(call, signal);
    try {
      return narrowOperation(json, process.processId);
    } catch (error) {
      if (!(error instanceof GoogleError)) throw error;
      // Google said yes: the device may be signing, although we cannot read which operation to look at.
      throw new GoogleError(error.code, error.message, { unclear: true, cause: error });
    }
  }

  async operation(name: string, signal: AbortSignal): Promise<SignDataOperation> {
    if (!isOperationName(name)) {
      throw new GoogleError(
        'google-bad-answer',
        'The operation’s name is not of the known form, so it cannot be looked at.',
        { unclear: false },
      );
    }
    const call: Call = { method: 'operation', path: this.#root + name };
    return narrowOperation(await this.#connection.send(call, signal), processIdOf(name));
  }

  async uploadCertificate(
    process: ProcessReference,
    certificatePem: string,
    signal: AbortSignal,
  ): Promise<void> {
    const body = JSON.stringify({ certificatePem });
    const path = `${this.#pathOf(process)}:uploadCertificate`;
    await this.#connection.send({ method: 'uploadCertificate', path, body }, signal);
  }

  async setFailure(
    process: ProcessReference,
    errorMessage: string,
    signal: AbortSignal,
  ): Promise<void> {
    const body = JSON.stringify({ errorMessage });
    const path = `${this.#pathOf(process)}:setFailure`;
    await this.#connection.send({ method: 'setFailure', path, body }, signal);
  }

  /** What time Google says it is; asked without credentials, about a process that cannot exist. */
  async askTime(testify: Testimony, signal: AbortSignal): Promise<void> {
    const path = this.#pathOf({ customer: 'my_customer', processId: '-' });
    await this.#connection.askTime(path, testify, signal);
  }

  /** Ends open connections; calls that are under way fail. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection.close();
  }

  #pathOf(process: ProcessReference): string {
    if (!safeId.test(process.customer) || !safeId.test(process.processId)) {
      throw new Error('A process was named by ids that were not checked.');
    }
    return `${this.#root}customers/${process.customer}/certificateProvisioningProcesses/${process.processId}`;
  }
}
