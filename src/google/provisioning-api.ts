import type { SignatureAlgorithm } from '../request/signature-algorithm.ts';
import type { ProvisioningProcess } from './process.ts';

/**
 * After how many seconds Google is told to give up a signData call (system parameter X-Server-Timeout,
 * https://cloud.google.com/apis/docs/system-parameters): what it has not done by then, it will not do later.
 */
export const signDataServerSeconds = 4;

/** Which process: the two ids of the notification. */
export interface ProcessReference {
  readonly customer: string;
  readonly processId: string;
}

/** A signData operation, narrowed. `name` is the full resource name. */
export type SignDataOperation =
  | { readonly kind: 'running'; readonly name: string }
  | { readonly kind: 'done'; readonly name: string; readonly signature: Uint8Array }
  | {
      readonly kind: 'failed';
      readonly name: string;
      readonly code: number;
      readonly message: string;
    };

/**
 * Google's Chrome Management Certificate Provisioning API, its six methods by their own names.
 * https://chromemanagement.googleapis.com, resource customers.certificateProvisioningProcesses.
 *
 * Every method throws {@link GoogleError} for what Google answered or failed to answer. All but signData repeat by
 * themselves what is safe to repeat (connection errors, 408, 429, 5xx); signData never does.
 */
export interface ProvisioningApi extends AsyncDisposable {
  get(process: ProcessReference, signal: AbortSignal): Promise<ProvisioningProcess>;
  /** `beforeLeaving` as with {@link signData}, before every attempt. */
  claim(
    process: ProcessReference,
    callerInstanceId: string,
    beforeLeaving: () => Promise<void>,
    signal: AbortSignal,
  ): Promise<void>;
  /**
   * `data` is the exact byte string to be signed; Google carries it as base64. `beforeLeaving` is awaited when
   * nothing else is left to wait for (a token, the budget, a connection), and the request leaves in the same turn in
   * which it resolves. It writes the intention down, and rejects when the caller may no longer ask, because a device
   * that is asked twice fails the process. With a fresh token it is awaited once more.
   */
  signData(
    process: ProcessReference,
    data: Uint8Array,
    algorithm: SignatureAlgorithm,
    beforeLeaving: () => Promise<void>,
    signal: AbortSignal,
  ): Promise<SignDataOperation>;
  /** `name` is an operation's full resource name as signData answered it. */
  operation(name: string, signal: AbortSignal): Promise<SignDataOperation>;
  /** `certificatePem` is exactly one certificate: the device takes the leaf alone. */
  uploadCertificate(
    process: ProcessReference,
    certificatePem: string,
    signal: AbortSignal,
  ): Promise<void>;
  /** `errorMessage` is shown on the device. */
  setFailure(process: ProcessReference, errorMessage: string, signal: AbortSignal): Promise<void>;
}
