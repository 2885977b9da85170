import type { RevocationReason } from '../../src/plug-in/certificate-authority.ts';

/** CRLReason (RFC 5280 5.3.1). */
export const reasonCodes: Readonly<Record<RevocationReason, number>> = {
  unspecified: 0,
  keyCompromise: 1,
  superseded: 4,
  cessationOfOperation: 5,
};

/** The same as the enumerations of several APIs write them. */
export const reasonNames = {
  unspecified: 'UNSPECIFIED',
  keyCompromise: 'KEY_COMPROMISE',
  superseded: 'SUPERSEDED',
  cessationOfOperation: 'CESSATION_OF_OPERATION',
} as const satisfies Record<RevocationReason, string>;
