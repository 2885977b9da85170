import { ProvisioningError } from '../../src/errors.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { contextTag, DerReader } from '../../src/x509/der.ts';

const authorityKeyIdentifier = '2.5.29.35';

/** How cfssl's database names a certificate: serial number in decimal, issuer's key in lower-case hexadecimal. */
export interface CertificateReference {
  readonly serial: string;
  readonly authorityKeyId: string;
}

/**
 * AuthorityKeyIdentifier ::= SEQUENCE { keyIdentifier [0] IMPLICIT OCTET STRING OPTIONAL, … }   (RFC 5280 4.2.1.1)
 *
 * @param certificate DER.
 * @throws {ProvisioningError} `ca-misconfigured` when the certificate names no key of its issuer.
 */
export function referenceOf(certificate: Uint8Array): CertificateReference {
  const { serialNumber, extensions } = readCertificate(certificate);
  const serial = BigInt(`0x${serialNumber}`).toString();
  const extension = extensions.find(({ type }) => type === authorityKeyIdentifier);
  if (extension !== undefined) {
    const fields = new DerReader(extension.value, 'The authority key identifier').into(
      'The authority key identifier',
    );
    const { content } = fields.next(contextTag(0, 'primitive'));
    return { serial, authorityKeyId: Buffer.from(content).toString('hex') };
  }
  throw new ProvisioningError(
    'ca-misconfigured',
    `The certificate ${serialNumber} has no authority key identifier, by which cfssl would find it. Was it issued by another CA?`,
  );
}
