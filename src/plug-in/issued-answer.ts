import { ProvisioningError } from '../errors.ts';
import { messageOf } from '../words/message-of.ts';
import { readCertificate } from '../x509/certificate.ts';
import type { Issuance, IssueRequest } from './certificate-authority.ts';

/** A leaf and any sensible chain. */
const mostCertificates = 20;

/**
 * An answer's certificates (DER) as an issuance. The leaf is the one with the order's key, wherever it stands;
 * without one it is the first, and the check before every upload says what is wrong with it.
 *
 * @throws {ProvisioningError} `ca-bad-answer` when there is none, or one cannot be read.
 */
export function issuedAnswer(
  certificates: readonly Uint8Array[],
  request: Pick<IssueRequest, 'subjectPublicKeyInfo'>,
): Issuance & { readonly kind: 'issued' } {
  if (certificates.length === 0 || certificates.length > mostCertificates) {
    throw new ProvisioningError(
      'ca-bad-answer',
      `The answer has ${certificates.length} certificates instead of 1 to ${mostCertificates}.`,
    );
  }
  const found = certificates.findIndex((der) => hasKeyOf(der, request));
  const at = Math.max(0, found);
  const certificate = certificates[at] ?? new Uint8Array();
  return { kind: 'issued', certificate, chain: certificates.filter((_, index) => index !== at) };
}

function hasKeyOf(der: Uint8Array, request: Pick<IssueRequest, 'subjectPublicKeyInfo'>): boolean {
  try {
    const { subjectPublicKeyInfo } = readCertificate(der);
    return Buffer.from(subjectPublicKeyInfo).equals(request.subjectPublicKeyInfo);
  } catch (error) {
    throw new ProvisioningError(
      'ca-bad-answer',
      `A certificate of the answer: ${messageOf(error)}`,
      {
        cause: error,
      },
    );
  }
}
