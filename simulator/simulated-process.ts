import { hexOf, uuidOf } from './chance.ts';
import type { DeviceSpec } from './device-spec.ts';
import type { Method } from './faults.ts';
import type { DeviceKey } from './key-pool.ts';

export type SignatureAlgorithm =
  | 'SIGNATURE_ALGORITHM_RSA_PKCS1_V1_5_SHA256'
  | 'SIGNATURE_ALGORITHM_ECDSA_SHA256';

type Calls = Record<Method, number>;

const noCalls = (): Calls => ({
  get: 0,
  claim: 0,
  signData: 0,
  operation: 0,
  uploadCertificate: 0,
  setFailure: 0,
});

/** google.rpc.Status. */
interface OperationError {
  readonly code: number;
  readonly message: string;
}

/**
 * One provisioning process, both sides of it: what Google keeps and what the device thinks. A hundred thousand
 * of them are affordable, so names and JSON are computed, and the key and the spec are shared.
 */
export interface SimulatedProcess {
  /** 32 hexadecimal characters. */
  readonly id: string;
  /** Counts from 0; the subject of every seeded decision about this process. */
  readonly index: number;
  readonly spec: DeviceSpec;
  readonly key: DeviceKey;
  /** Milliseconds since the epoch, like all times here. */
  readonly startedAtMs: number;
  signedAtMs: number | undefined;
  /** The certificate was accepted or refused by the device, or the process failed. */
  endedAtMs: number | undefined;
  /** Since when the device waits for what comes next; its polls are counted from there. */
  waitingSinceMs: number;
  claimedBy: string | undefined;
  /** Base64 of the bytes to be signed. */
  signData: string | undefined;
  signatureAlgorithm: SignatureAlgorithm | undefined;
  operationStartedAtMs: number | undefined;
  /** Base64. */
  signature: string | undefined;
  operationError: OperationError | undefined;
  certificatePem: string | undefined;
  failureMessage: string | undefined;
  gone: boolean;
  /** What the device made of the certificate. */
  accepted: boolean;
  problem: string | undefined;
  /** Calls that arrived at Google, carried out or not. */
  readonly calls: Calls;
  /** Calls that changed or read the process. */
  readonly carriedOut: Calls;
}

const idTopic = 2_000;

/** A process that its device has just started. The seed and the index fix its id. */
export function newProcess(
  seed: number,
  {
    index,
    spec,
    key,
    nowMs,
  }: Pick<SimulatedProcess, 'index' | 'spec' | 'key'> & { readonly nowMs: number },
): SimulatedProcess {
  return {
    id: hexOf(seed, index, idTopic),
    index,
    spec,
    key,
    startedAtMs: nowMs,
    signedAtMs: undefined,
    endedAtMs: undefined,
    waitingSinceMs: nowMs,
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
}

export type ProcessState =
  | 'created'
  | 'claimed'
  | 'signing'
  | 'signed'
  | 'uploaded'
  | 'delivered'
  | 'failed'
  | 'gone';

/** The management port's view of a process. */
export interface ProcessView {
  /** `customers/{customer}/certificateProvisioningProcesses/{id}`. */
  readonly name: string;
  readonly customer: string;
  readonly id: string;
  readonly state: ProcessState;
  readonly subject: DeviceSpec['subject'];
  readonly key: DeviceSpec['key'];
  /** Serial number or e-mail address. */
  readonly who: string;
  readonly calls: Calls;
  readonly carriedOut: Calls;
  /** Milliseconds since the epoch. */
  readonly times: {
    readonly startedAt: number;
    readonly signedAt?: number;
    readonly endedAt?: number;
  };
  /** Base64 DER. */
  readonly subjectPublicKeyInfo: string;
  /** Base64, as Google keeps them; absent before they are there. */
  readonly signData?: string;
  readonly signature?: string;
  readonly certificatePem?: string;
  readonly failureMessage?: string;
  /** Nothing more will happen to it: accepted or refused by its device, failed, or gone. */
  readonly settled: boolean;
  readonly device: { readonly accepted: boolean; readonly problem?: string };
}

export function processName(process: SimulatedProcess): string {
  return `customers/${process.spec.customer}/certificateProvisioningProcesses/${process.id}`;
}

export function stateOf(process: SimulatedProcess): ProcessState {
  if (process.failureMessage !== undefined) return 'failed';
  if (process.accepted) return 'delivered';
  if (process.gone) return 'gone';
  if (process.certificatePem !== undefined) return 'uploaded';
  if (process.signature !== undefined) return 'signed';
  if (process.signData !== undefined) return 'signing';
  return process.claimedBy === undefined ? 'created' : 'claimed';
}

/** Nothing more will happen: accepted or refused by the device, failed, or gone. */
export function isSettled(process: SimulatedProcess): boolean {
  return (
    process.accepted ||
    process.problem !== undefined ||
    process.failureMessage !== undefined ||
    process.gone
  );
}

export function viewOf(process: SimulatedProcess): ProcessView {
  const { signData, signature, certificatePem, failureMessage, problem } = process;
  const { signedAtMs, endedAtMs } = process;
  return {
    name: processName(process),
    customer: process.spec.customer,
    id: process.id,
    state: stateOf(process),
    subject: process.spec.subject,
    key: process.spec.key,
    who: process.spec.subject === 'user' ? userEmail(process) : serialNumber(process),
    calls: { ...process.calls },
    carriedOut: { ...process.carriedOut },
    times: {
      startedAt: process.startedAtMs,
      ...(signedAtMs === undefined ? {} : { signedAt: signedAtMs }),
      ...(endedAtMs === undefined ? {} : { endedAt: endedAtMs }),
    },
    subjectPublicKeyInfo: process.key.spkiBase64,
    ...(signData === undefined ? {} : { signData }),
    ...(signature === undefined ? {} : { signature }),
    ...(certificatePem === undefined ? {} : { certificatePem }),
    ...(failureMessage === undefined ? {} : { failureMessage }),
    settled: isSettled(process),
    device: { accepted: process.accepted, ...(problem === undefined ? {} : { problem }) },
  };
}

const directoryTopic = 1_000;
const profileTopic = 1_001;

export function serialNumber(process: SimulatedProcess): string {
  return `SIM${String(process.index + 1).padStart(7, '0')}`;
}

export function userEmail(process: SimulatedProcess): string {
  return `user${process.index + 1}@simulator.example`;
}

export function directoryId(seed: number, process: SimulatedProcess): string {
  return uuidOf(seed, process.index, directoryTopic);
}

/** One provisioning profile for all generic processes and one for all SCEP ones. */
export function profileId(seed: number, process: SimulatedProcess): string {
  return uuidOf(seed, process.spec.profile === 'generic' ? 0 : 1, profileTopic);
}
