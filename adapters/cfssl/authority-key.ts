import { ProvisioningError } from '../../src/errors.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { decimalSerial } from '../shared/serial-number.ts';

/** How cfssl's database names a certificate: serial number in decimal, issuer's key in lower-case hexadecimal. */
export interface CertificateReference {
  readonly serial: string;
  readonly authorityKeyId: string;
}

/**
 * @param certificate DER.
 * @throws {ProvisioningError} `ca-misconfigured` when the certificate names no key of its issuer.
 */
export function referenceOf(certificate: Uint8Array): CertificateReference {
  const { serialNumber, authorityKeyIdentifier } = readCertificate(certificate);
  if (authorityKeyIdentifier === undefined) {
    throw new ProvisioningError(
      'ca-misconfigured',
      `The certificate ${serialNumber} has no authority key identifier, by which cfssl would find it. Was it issued by another CA?`,
    );
  }
  const authorityKeyId = Buffer.from(authorityKeyIdentifier).toString('hex');
  return { serial: decimalSerial(serialNumber), authorityKeyId };
}
