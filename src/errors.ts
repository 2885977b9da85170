import { type Disposition, errorTable } from './error-table.ts';

/* What is thrown, by what has gone wrong. Who must act on it says the table. */

export type ErrorCode = keyof typeof errorTable;

export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorTable, code);
}

/** What a Chromebook shows for a code. */
export function deviceTextOf(code: ErrorCode): string {
  return `${errorTable[code].deviceText} (${code})`;
}

export interface ProvisioningErrorOptions extends ErrorOptions {
  /** The other side asked for at least this pause, in milliseconds. */
  readonly retryAfterMs?: number;
  /**
   * Of an error of `issue()`: whether the order may have left and no answer to it was understood, so that the CA may
   * have issued a certificate that nobody knows. `false` where it surely did not: there was no connection, or the CA
   * said in its own words that it made nothing. If it is left out, the code decides, see {@link mayHaveIssued}.
   */
  readonly unanswered?: boolean;
}

/** Codes under which an order counts as unanswered where the error itself does not say. */
const unansweredCodes: ReadonlySet<ErrorCode> = new Set(['ca-unavailable', 'ca-bad-answer']);

/** Whether the CA may have carried out the order that ended with this error. */
export function mayHaveIssued(error: ProvisioningError): boolean {
  return error.unanswered ?? unansweredCodes.has(error.code);
}

/** An error of the table. `message` is for operators; the device sees only the table's text. */
export class ProvisioningError extends Error {
  override readonly name: string = 'ProvisioningError';
  readonly code: ErrorCode;
  readonly retryAfterMs: number | undefined;
  readonly unanswered: boolean | undefined;

  constructor(code: ErrorCode, message: string, options: ProvisioningErrorOptions = {}) {
    super(message, options);
    this.code = code;
    this.retryAfterMs = options.retryAfterMs;
    this.unanswered = options.unanswered;
  }

  get disposition(): Disposition {
    return errorTable[this.code].disposition;
  }
}

export type GoogleErrorCode = Extract<ErrorCode, `google-${string}`>;

export interface GoogleErrorOptions extends ProvisioningErrorOptions {
  /** The HTTP status; absent when no answer came. */
  readonly status?: number;
  /**
   * The call may have been carried out although no success was seen (time-out, reset, 5xx). False only
   * where Google surely did nothing: it said so with a 4xx, or the request never left.
   */
  readonly unclear: boolean;
}

/** What Google answered or failed to answer. */
export class GoogleError extends ProvisioningError {
  override readonly name = 'GoogleError';
  override readonly code: GoogleErrorCode;
  readonly status: number | undefined;
  readonly unclear: boolean;

  constructor(code: GoogleErrorCode, message: string, options: GoogleErrorOptions) {
    super(code, message, options);
    this.code = code;
    this.status = options.status;
    this.unclear = options.unclear;
  }
}
