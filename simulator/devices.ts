import { sign } from 'node:crypto';
import { promisify } from 'node:util';
import type { Agenda } from './agenda.ts';
import type { Faults } from './faults.ts';
import { type DeviceKey, makeKey } from './key-pool.ts';
import { isSettled, type SimulatedProcess } from './simulated-process.ts';

const signAsync = promisify(
  (
    data: Buffer,
    key: Parameters<typeof sign>[2],
    callback: (error: Error | null, signature: Buffer) => void,
  ) => sign('sha256', data, key, callback),
);

const secondMs = 1_000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;

/** A device that got no push polls after these pauses, and then again after the last one, for ever. */
const pollPausesMs = [30 * secondMs, 2 * minuteMs, 8 * minuteMs, 8 * hourMs] as const;

/** From `waitedMs` of waiting, how long until the device's next poll. All in unscaled milliseconds. */
export function untilNextPollMs(waitedMs: number): number {
  let pollAtMs = 0;
  for (const pauseMs of pollPausesMs) {
    pollAtMs += pauseMs;
    if (pollAtMs > waitedMs) return pollAtMs - waitedMs;
  }
  const [, , , lastMs] = pollPausesMs;
  return lastMs - ((waitedMs - pollAtMs) % lastMs);
}

/** What devices do with keys, so that a deterministic world can do it on its own thread. */
export interface Signing {
  sign(data: Buffer, key: DeviceKey, dsaEncoding: 'der' | 'ieee-p1363'): Promise<Buffer>;
  /** A fresh key that no device has. */
  strangersKey(kind: DeviceKey['kind']): Promise<DeviceKey>;
}

const backgroundSigning: Signing = {
  sign: (data, key, dsaEncoding) => signAsync(data, { key: key.privateKey, dsaEncoding }),
  strangersKey: makeKey,
};

export interface DevicesParts {
  readonly agenda: Agenda;
  readonly faults: Faults;
  /** The device's schedule runs this much faster (below 1) or slower. */
  readonly timeScale: number;
  /** How long a woken device needs to sign, in ms, where its spec does not say. */
  readonly signingDelayMs: number;
  now(): number;
  /** How devices sign; in the background, on other threads, by default. */
  readonly signing?: Signing;
  /** Called once for each process when nothing more will happen to it. */
  onSettled(process: SimulatedProcess): void;
  onError(error: unknown): void;
}

/** The devices' half of the processes: they wake, sign, and look at the certificate they get. */
export class Devices {
  readonly #parts: DevicesParts;
  readonly #signing: Signing;
  #strangersKey: Promise<DeviceKey> | undefined;

  constructor(parts: DevicesParts) {
    this.#parts = parts;
    this.#signing = parts.signing ?? backgroundSigning;
  }

  /** signData was called: the device signs once it wakes. */
  askToSign(process: SimulatedProcess): void {
    const { spec } = process;
    const { faults, signingDelayMs } = this.#parts;
    if (spec.signs === 'never') return;
    if (faults.happens('operationNeverEnds', process.index, 0)) return;
    const wakesInMs = this.#wakesInMs(process, 0);
    this.#later(wakesInMs + (spec.signAfterMs ?? signingDelayMs), () => {
      this.#sign(process).catch(this.#parts.onError);
    });
  }

  /** A certificate is ready; `problem` is what the device will find wrong with it. */
  offerCertificate(process: SimulatedProcess, problem: string | undefined): void {
    this.#later(this.#wakesInMs(process, 1), () => {
      if (process.gone) return;
      const wasSettled = isSettled(process);
      if (problem === undefined) process.accepted = process.failureMessage === undefined;
      else process.problem = problem;
      if (!wasSettled) this.#settled(process);
    });
  }

  /** The device or Google ends the operation with an error, and the process with it. */
  failSigning(process: SimulatedProcess, reason: string): void {
    process.operationError = {
      code: 3,
      message: `The requested SignData LRO failed because the corresponding certificate provisioning process is in failure state CERTIFICATE_PROVISIONING_RESULT_ERROR_INVALID_SIGNATURE with the following error message: ${reason}`,
    };
    this.fail(process, reason);
  }

  fail(process: SimulatedProcess, message: string): void {
    if (process.failureMessage !== undefined) return;
    const wasSettled = isSettled(process);
    process.failureMessage = message;
    if (process.signData !== undefined && process.signature === undefined) {
      process.operationError ??= { code: 3, message: `The process has failed: ${message}` };
    }
    if (!wasSettled) this.#settled(process);
  }

  /** From now on Google knows nothing of the process. */
  forget(process: SimulatedProcess): void {
    const wasSettled = isSettled(process);
    process.gone = true;
    if (!wasSettled) this.#settled(process);
  }

  async #sign(process: SimulatedProcess): Promise<void> {
    if (process.signData === undefined || process.failureMessage !== undefined || process.gone)
      return;
    const wrongKey = process.spec.signs === 'wrong-key';
    const key = wrongKey ? await this.#anotherKey(process) : process.key;
    const form = process.spec.ecSignature ?? this.#parts.faults.choice('ecSignature');
    const dsaEncoding = form === 'raw' ? 'ieee-p1363' : 'der';
    const data = Buffer.from(process.signData, 'base64');
    const signature = await this.#signing.sign(data, key, dsaEncoding);
    if (process.failureMessage !== undefined || process.gone) return;
    if (wrongKey && this.#parts.faults.choice('wrongSignature') === 'operation-error') {
      this.failSigning(process, 'The proof of possession signature is invalid.');
      return;
    }
    process.signature = signature.toString('base64');
    process.signedAtMs = this.#parts.now();
    process.waitingSinceMs = process.signedAtMs;
    if (process.spec.gone === 'after-signing') this.forget(process);
  }

  /** A key of the same kind that no device has. */
  #anotherKey(process: SimulatedProcess): Promise<DeviceKey> {
    const kind = process.key.kind;
    if (kind === 'ec') return this.#signing.strangersKey(kind);
    this.#strangersKey ??= this.#signing.strangersKey(kind);
    return this.#strangersKey;
  }

  #wakesInMs(process: SimulatedProcess, turn: number): number {
    const { faults, timeScale, now } = this.#parts;
    if (!faults.happens('missedPush', process.index, turn)) return 0;
    const waitedMs = (now() - process.waitingSinceMs) / timeScale;
    return untilNextPollMs(waitedMs) * timeScale;
  }

  #later(afterMs: number, act: () => void): void {
    if (afterMs > 0) this.#parts.agenda.after(afterMs, act);
    else setImmediate(act);
  }

  #settled(process: SimulatedProcess): void {
    process.endedAtMs = this.#parts.now();
    this.#parts.onSettled(process);
  }
}
