import { type ErrorCode, ProvisioningError } from '../../../src/errors.ts';

/*
 * What a token's error means and what mends it. The codes are those of PKCS#11 2.40, section 5.1; the texts
 * never hold a PIN, and neither do the library's own errors.
 */

/** A session ended before its work was done. */
export class SessionEndedError extends Error {
  override readonly name = 'SessionEndedError';
}

/** The name of a PKCS#11 return value, such as CKR_PIN_INCORRECT; undefined for any other error. */
export function returnValueOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return error.message.startsWith('CKR_') ? error.message : undefined;
}

/** For ends: what fails while a token is let go of is of no use any more, and the next opening will tell. */
export function lettingGo(end: () => void): void {
  try {
    end();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}

/**
 * Return values after which the same work may succeed in a new session: the session, the login or the handle
 * were lost, or the device was reset. Signing is harmless when repeated.
 */
const lost = new Set([
  'CKR_CRYPTOKI_NOT_INITIALIZED',
  'CKR_DEVICE_ERROR',
  'CKR_DEVICE_REMOVED',
  'CKR_FUNCTION_FAILED',
  'CKR_GENERAL_ERROR',
  'CKR_KEY_HANDLE_INVALID',
  'CKR_OBJECT_HANDLE_INVALID',
  'CKR_OPERATION_ACTIVE',
  'CKR_SESSION_CLOSED',
  'CKR_SESSION_HANDLE_INVALID',
  'CKR_TOKEN_NOT_PRESENT',
  'CKR_TOKEN_NOT_RECOGNIZED',
  'CKR_USER_NOT_LOGGED_IN',
]);

export function isLost(error: unknown): boolean {
  return error instanceof SessionEndedError || lost.has(returnValueOf(error) ?? '');
}

const pinAdvice =
  'The PIN is not tried again before the service is started anew, because tokens lock themselves after a few wrong ones: correct the secret that keys.pin names, then restart.';

/** Beside the ones below: `ca-unavailable`, with the plain return value. */
const meanings: Readonly<Record<string, { code: ErrorCode; text: string }>> = {
  CKR_PIN_INCORRECT: { code: 'ca-misconfigured', text: `The PIN is wrong. ${pinAdvice}` },
  CKR_PIN_INVALID: { code: 'ca-misconfigured', text: `The PIN has a wrong form. ${pinAdvice}` },
  CKR_PIN_LEN_RANGE: { code: 'ca-misconfigured', text: `The PIN has a wrong length. ${pinAdvice}` },
  CKR_PIN_EXPIRED: {
    code: 'ca-misconfigured',
    text: `The PIN has expired. Set a new one with the token's own tool. ${pinAdvice}`,
  },
  CKR_PIN_LOCKED: {
    code: 'ca-misconfigured',
    text: 'The PIN is locked. Unlock it as the security officer with the token’s own tool, then restart the service.',
  },
  CKR_USER_PIN_NOT_INITIALIZED: {
    code: 'ca-misconfigured',
    text: 'It has no user PIN yet. Set one with the token’s own tool, such as softhsm2-util --init-token.',
  },
  CKR_DEVICE_MEMORY: {
    code: 'ca-misconfigured',
    text: 'It is full. Remove objects that nobody needs, or use another token.',
  },
  CKR_TOKEN_WRITE_PROTECTED: {
    code: 'ca-misconfigured',
    text: 'It is write-protected, so that no key can be made in it. Remove the protection for the first start.',
  },
  CKR_MECHANISM_INVALID: {
    code: 'ca-misconfigured',
    text: 'It cannot work with this type of key. Choose the other keyType, or another token.',
  },
  CKR_SESSION_COUNT: {
    code: 'ca-unavailable',
    text: 'It has no session left: two are needed, three while keys are made. End other users of the token.',
  },
};

/** Signs of a PIN that should not be shown again. */
const pinRefusals = new Set([
  'CKR_PIN_INCORRECT',
  'CKR_PIN_INVALID',
  'CKR_PIN_LEN_RANGE',
  'CKR_PIN_EXPIRED',
  'CKR_PIN_LOCKED',
]);

export function refusesPin(error: unknown): boolean {
  return pinRefusals.has(returnValueOf(error) ?? '');
}

/** The library's error as one that says who must act; others are returned as they are. `token` says which token. */
export function tokenProblem(error: unknown, token: string): unknown {
  const returnValue = returnValueOf(error);
  if (returnValue === undefined && !(error instanceof SessionEndedError)) return error;
  const { code, text } = meanings[returnValue ?? ''] ?? {
    code: 'ca-unavailable',
    text: 'Look whether it is still there and works; it is opened anew with the next call.',
  };
  const method = error instanceof Error && 'method' in error ? ` from ${error.method}` : '';
  const said = returnValue === undefined ? '' : ` (${returnValue}${method})`;
  return new ProvisioningError(code, `${token}${said}: ${text}`, { cause: error });
}
