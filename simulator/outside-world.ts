import type { Clock } from '../src/time/clock.ts';
import type { DeviceSpecInput } from './device-spec.ts';
import type { FaultChanges } from './faults.ts';
import type { DeviceKey } from './key-pool.ts';
import type { AddedProcess } from './processes.ts';
import type { ProcessState, ProcessView } from './simulated-process.ts';

export interface SimulatorOptions {
  /** A loopback address; anything else is refused. Default 127.0.0.1. */
  readonly host?: string;
  /** 0, the default, takes any free port. */
  readonly restPort?: number;
  readonly pubsubPort?: number;
  readonly managementPort?: number;
  /** An integer from 0 to 2^32-1; drawn when absent. It fixes ids and fault decisions, not keys. */
  readonly seed?: number;
  /** The base rate of passing trouble, 0 to 1. Default 0.02. */
  readonly faults?: number;
  /** Single faults and switches, on top of the base rate. */
  readonly switches?: FaultChanges;
  /** How likely a push reaches a device; sets the fault `missedPush` to the rest. */
  readonly pushProbability?: number;
  /** Factor on the device's schedule of polls: 1 is real time. Default 0.01. */
  readonly timeScale?: number;
  /** How long a woken device needs to sign, in ms. Default 20. */
  readonly signingDelayMs?: number;
  /** How long the fault `timeout` holds a connection before it is cut, in ms. Default 15,000. */
  readonly holdMs?: number;
  /** How long the fault `late` keeps back an answer, in ms. Default 500. */
  readonly lateMs?: number;
  /** Of the 429 answers. Default 1. */
  readonly retryAfterSeconds?: number;
  /** How many different keys of each kind there are before they are reused. Default 64 RSA, 512 EC. */
  readonly distinctKeys?: { readonly rsa?: number; readonly ec?: number };
  readonly project?: string;
  readonly topic?: string;
  readonly subscription?: string;
  readonly clock?: Clock;
  /** Called for errors that are the simulator's own. Default: written to stderr. */
  readonly onError?: (error: unknown) => void;
}

/** The running outside world. Disposing of it closes its ports and forgets everything. */
export interface Simulator extends AsyncDisposable {
  /** `http://127.0.0.1:port`, for `google.endpoint`. */
  readonly restUrl: string;
  /** `127.0.0.1:port`, for `pubsub.endpoint` or PUBSUB_EMULATOR_HOST. */
  readonly pubsubEndpoint: string;
  readonly managementUrl: string;
  readonly project: string;
  readonly topic: string;
  readonly subscription: string;
  readonly seed: number;
  /** Adds devices, each with a process that is announced at once. Throws DeviceSpecError. */
  addDevices(spec?: DeviceSpecInput): Promise<AddedProcess[]>;
  processes(): ProcessView[];
  process(id: string): ProcessView | undefined;
  /** The key in the process's device, to use a certificate with. No port gives it out. */
  keyOf(id: string): DeviceKey | undefined;
  /** How many processes there are in each state; cheap, however many there are. */
  summary(): Record<ProcessState, number>;
  /** The process vanishes from Google: 404 from now on. False when it is unknown. */
  forget(id: string): boolean;
  /** Every fault and switch with its value. */
  faults(): Record<string, number | string>;
  /**
   * Changes all or nothing; throws FaultError. With `forMs`, what was changed is put back after so many milliseconds.
   */
  setFaults(changes: FaultChanges | Readonly<Record<string, unknown>>, forMs?: number): void;
  /** Publishes any bytes on the topic, for hostile messages. */
  publish(data: Uint8Array): void;
  /** Announces every process that has not ended once more; answers how many. */
  republish(): number;
  /** Ends all StreamingPull streams with UNAVAILABLE. */
  breakStreams(): void;
  /** Messages of the subscription that wait for a subscriber, and that are out. */
  messages(): { readonly waiting: number; readonly out: number };
  /**
   * The processes once each is accepted or refused by its device, failed, or gone. Rejects after `timeoutMs`
   * (default 30,000) with a count of what is open, and with the signal's reason.
   */
  settled(
    ids: readonly string[],
    options?: { readonly timeoutMs?: number; readonly signal?: AbortSignal },
  ): Promise<ProcessView[]>;
}
