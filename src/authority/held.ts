import { type ErrorCode, isErrorCode, ProvisioningError } from '../errors.ts';
import type { Hold } from '../journal/authority-standing.ts';

/* What a held authority's processes and operators are told. */

/** The process only has to look again after the pause, however often it was held before. */
export class HeldError extends ProvisioningError {
  override readonly name: string = 'HeldError';

  constructor(code: ErrorCode, message: string, retryAfterMs: number) {
    super(code, message, { retryAfterMs, unanswered: false });
  }
}

/** A rejection that is not believed: the order is placed again, as a new one. */
export class DoubtedRejectionError extends HeldError {
  override readonly name = 'DoubtedRejectionError';
}

/** Why orders for a profile wait. */
export function problemOfProfile(
  reference: string,
  profile: string,
  { words, fault }: Hold,
): ProvisioningError {
  const where = `authority ${reference}, profile ${nameOfProfile(profile)}; nothing is refused until limits.issuingHours`;
  if (fault !== undefined && isErrorCode(fault)) {
    const message = `every certificate of it is held back: ${words} (${where}, another is ordered now and then)`;
    return new ProvisioningError(fault, message);
  }
  const message = `every order is rejected: ${words} (${where}, one a minute is tried)`;
  return new ProvisioningError('ca-rejecting', message);
}

/** Why all orders of an authority wait. */
export function problemOfAuthority(reference: string, { words }: Hold): ProvisioningError {
  return new ProvisioningError(
    'ca-bad-answer',
    `its answers to orders are not understood: ${words} (authority ${reference}; each order may make a certificate that nobody knows, so one is tried now and then)`,
  );
}

/** Without the hash that tells its versions apart. */
export function nameOfProfile(profile: string): string {
  return profile.replace(/#[^#]*$/, '');
}
