import { ProvisioningError } from '../../src/errors.ts';
import type { Issuance, IssueRequest } from '../../src/plug-in/certificate-authority.ts';
import { issuedAnswer } from '../../src/plug-in/issued-answer.ts';
import { messageOf } from '../../src/words/message-of.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { readKnown } from '../../src/x509/chain.ts';
import { readCertificates } from '../../src/x509/pem.ts';
import { ownCertificate } from './own-certificate.ts';

type Issued = Issuance & { readonly kind: 'issued' };

/**
 * An answer's certificates as an issuance, the leaf wherever it stands (see `issuedAnswer`).
 *
 * @param texts PEM each, of one or more; what is not there is passed over.
 * @param problem begins the message where one cannot be read.
 * @throws {ProvisioningError} `ca-bad-answer` when there is none, or one cannot be read.
 */
export function issuedPem(
  texts: readonly (string | null | undefined)[],
  request: Pick<IssueRequest, 'subjectPublicKeyInfo'>,
  problem: string,
): Issued {
  try {
    const all = texts.flatMap((text) => (typeof text === 'string' ? readCertificates(text) : []));
    const own = ownCertificate(all, request);
    // Too long a chain is cut: what was issued shall not be lost over it.
    const issued: Issued =
      own === undefined ? issuedAnswer(all, request) : { kind: 'issued', ...own };
    for (const der of issued.chain) readKnown(der);
    return issued;
  } catch (error) {
    throw new ProvisioningError('ca-bad-answer', `${problem}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/**
 * The same for a CA that is asked for its certificate by a name: one for another key is another order's.
 *
 * @throws {ProvisioningError} `ca-bad-answer` for such a one, too.
 */
export function issuedToKey(...given: Parameters<typeof issuedPem>): Issued {
  const [, { subjectPublicKeyInfo }, problem] = given;
  const issued = issuedPem(...given);
  const found = readCertificate(issued.certificate).subjectPublicKeyInfo;
  if (Buffer.compare(found, subjectPublicKeyInfo) === 0) return issued;
  throw new ProvisioningError(
    'ca-bad-answer',
    `${problem}: it is for another public key than the order’s`,
  );
}
