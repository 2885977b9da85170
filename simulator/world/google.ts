import { generateKeyPairSync, sign } from 'node:crypto';
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
import { Agenda } from '../agenda.ts';
import { hexOf } from '../chance.ts';
import { type DeviceSpec, type DeviceSpecInput, parseDeviceSpec } from '../device-spec.ts';
import { Devices, type Signing } from '../devices.ts';
import { type FaultChanges, Faults, type Method } from '../faults.ts';
import { failed, Google } from '../google.ts';
import type { DeviceKey } from '../key-pool.ts';
import { noCalls, type SimulatedProcess } from '../simulated-process.ts';
import type { Life, Scheduler } from './scheduler.ts';
import type { Trouble, Wire } from './wire.ts';

/*
 * Google and the devices are the simulator's own, without its sockets. What is not real: devices share a
 * few keys and sign the same bytes once per run, so that a hundred thousand histories cost no cryptography.
 */

type Kind = DeviceKey['kind'];

const keysOf: Record<Kind, DeviceKey[]> = { ec: [], rsa: [] };
const keysInPool = { ec: 4, rsa: 2 } as const;

function makeKey(kind: Kind): DeviceKey {
  const { privateKey, publicKey } =
    kind === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return { kind, privateKey, spki, spkiBase64: spki.toString('base64') };
}

function keyOf(kind: Kind, index: number): DeviceKey {
  const turn = index % keysInPool[kind];
  const known = keysOf[kind][turn];
  if (known !== undefined) return known;
  const made = makeKey(kind);
  keysOf[kind][turn] = made;
  return made;
}

const signatures = new Map<string, Buffer>();
const mostSignatures = 20_000;

const signing: Signing = {
  sign(data, key, dsaEncoding) {
    const name = `${dsaEncoding} ${key.spkiBase64} ${data.toString('base64')}`;
    const known = signatures.get(name);
    if (known !== undefined) return Promise.resolve(known);
    const signature = sign('sha256', data, { key: key.privateKey, dsaEncoding });
    if (signatures.size < mostSignatures) signatures.set(name, signature);
    return Promise.resolve(signature);
  },
  // The last key of the pool plus one: no device has it.
  strangersKey: (kind) => Promise.resolve(strangersKeys[kind]()),
};

const strangersKeys = { ec: once(() => makeKey('ec')), rsa: once(() => makeKey('rsa')) };

function once<Value>(make: () => Value): () => Value {
  let made: Value | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

const specs = new Map<string, DeviceSpec>();

function specOf(input: DeviceSpecInput): DeviceSpec {
  const name = JSON.stringify(input);
  const known = specs.get(name);
  if (known !== undefined) return known;
  const spec = parseDeviceSpec(input);
  specs.set(name, spec);
  return spec;
}

const idTopic = 2_000;
const mostAttempts = 3;

export interface WorldGoogleOptions {
  readonly scheduler: Scheduler;
  readonly wire: Wire;
  readonly faults?: FaultChanges;
  /** As the worker's own client does it, or one that writes the intention down before its waits. */
  readonly writesLast: boolean;
}

/** A call that Google has seen, for whoever counts. */
export interface SeenCall {
  readonly at: number;
  readonly method: Method;
  readonly processId: string;
  readonly status: number;
}

export class WorldGoogle {
  readonly faults: Faults;
  readonly devices: Devices;
  readonly processes = new Map<string, SimulatedProcess>();
  readonly seen: SeenCall[] = [];
  /** While it gives an answer, Google gives that one and does nothing. */
  outage: (method: Method) => number | undefined = () => undefined;
  /** The status of a process that Google does not know, and of one under a wrong customer. */
  unknown: 404 | 403 = 404;
  /** While it gives an answer, somebody between us and Google gives that one, and Google sees nothing. */
  stranger: (method: Method) => { status: number; body: string } | undefined = () => undefined;
  /** Called before a certificate is uploaded, with its PEM. */
  onUpload: (processId: string, pem: string) => void = () => undefined;
  readonly #options: WorldGoogleOptions;
  readonly #google: Google;
  readonly errors: unknown[] = [];

  constructor(options: WorldGoogleOptions) {
    this.#options = options;
    const { scheduler } = options;
    const now = () => scheduler.now();
    this.faults = new Faults(1, 0);
    this.faults.set(options.faults ?? {});
    const onError = (error: unknown) => void this.errors.push(error);
    const agenda = new Agenda(scheduler.clockOf(), onError);
    this.devices = new Devices({
      agenda,
      faults: this.faults,
      timeScale: 1,
      signingDelayMs: 300,
      now,
      signing,
      onSettled: () => undefined,
      onError,
    });
    this.#google = new Google({ seed: 1, faults: this.faults, devices: this.devices, now });
  }

  add(input: DeviceSpecInput): SimulatedProcess {
    const spec = specOf(input);
    const index = this.processes.size;
    const now = this.#options.scheduler.now();
    const process: SimulatedProcess = {
      id: hexOf(1, index, idTopic),
      index,
      spec,
      key: keyOf(spec.key, index),
      startedAtMs: now,
      signedAtMs: undefined,
      endedAtMs: undefined,
      waitingSinceMs: now,
      claimedBy: undefined,
      signData: undefined,
      signatureAlgorithm: undefined,
      operationStartedAtMs: undefined,
      signature: undefined,
      operationError: undefined,
      certificatePem: undefined,
      failureMessage: undefined,
      gone: spec.gone === 'at-once',
      accepted: false,
      problem: undefined,
      calls: noCalls(),
      carriedOut: noCalls(),
    };
    this.processes.set(process.id, process);
    return process;
  }

  /** One call as it arrives at Google. */
  carryOut(
    method: Method,
    processId: string,
    operation: string | undefined,
    body: Readonly<Record<string, unknown>>,
  ): { readonly status: number; readonly body: string } {
    const process = this.processes.get(processId);
    const strange = this.stranger(method);
    if (strange !== undefined) return strange;
    const outage = this.outage(method);
    if (outage !== undefined) return this.#saw(method, processId, failed(outage, 'An outage.'));
    if (process === undefined)
      return this.#saw(method, processId, failed(this.unknown, 'No such process.'));
    process.calls[method] += 1;
    return this.#saw(method, processId, this.#google.carryOut(method, process, operation, body));
  }

  #saw(method: Method, processId: string, answer: { status: number; body: string }) {
    this.seen.push({ at: this.#options.scheduler.now(), method, processId, status: answer.status });
    return answer;
  }

  apiOf(life: Life, askingTime: () => Testimony): ProvisioningApi {
    return new WorldApi(this, life, askingTime, this.#options);
  }

  /** The Date of an answer that is made now. */
  dateOf(): (testify: Testimony) => void {
    const now = this.#options.scheduler.now();
    return (testify) => testify(now - (now % 1_000), 1_000);
  }
}

class WorldApi implements ProvisioningApi {
  readonly #google: WorldGoogle;
  readonly #life: Life;
  readonly #askingTime: () => Testimony;
  readonly #options: WorldGoogleOptions;
  readonly #clock: Clock;

  constructor(
    google: WorldGoogle,
    life: Life,
    askingTime: () => Testimony,
    options: WorldGoogleOptions,
  ) {
    this.#google = google;
    this.#life = life;
    this.#askingTime = askingTime;
    this.#options = options;
    this.#clock = options.scheduler.clockOf(life);
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
    this.#google.onUpload(process.processId, certificatePem);
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
    const owner = this.#google.processes.get(processId)?.spec.customer ?? customer;
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
        await this.#clock.sleep(200 * attempt, signal);
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
    const testify = this.#askingTime();
    const answer = await this.#options.wire.send(
      { life: this.#life, port: 'google', method, processId },
      {
        ...(leave === undefined ? {} : { leave }),
        carryOut: () => ({
          ...this.#google.carryOut(method, processId, operation, body),
          tellDate: this.#google.dateOf(),
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
        : errorOfAnswer(method, whole, this.#clock.now());
    if (result instanceof GoogleError) throw result;
    return result;
  }

  #problem(method: Method, trouble: Trouble, status: number): GoogleError {
    if (trouble === 'fails' || trouble === 'fails-after') {
      return errorOfAnswer(
        method,
        { ...failed(status, 'A fate.'), retryAfter: undefined },
        this.#clock.now(),
      );
    }
    return errorOfExchange(method, new ExchangeError('the connection broke', true, false, trouble));
  }
}
