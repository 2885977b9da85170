import { ProvisioningError } from '../../src/errors.ts';
import type { Issuance, IssueRequest } from '../../src/plug-in/certificate-authority.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { readCertificates } from '../../src/x509/pem.ts';

/** The leaf is the certificate with the CSR's key; the others are its chain (RFC 8555 7.4.2). */
export function issued(pem: string, { subjectPublicKeyInfo }: IssueRequest): Issuance {
  try {
    const all = readCertificates(pem).map((der) => readCertificate(der));
    const isOurs = (spki: Uint8Array) => Buffer.compare(spki, subjectPublicKeyInfo) === 0;
    const leaf = all.find((facts) => isOurs(facts.subjectPublicKeyInfo)) ?? all[0];
    if (leaf === undefined) throw new Error('there is none');
    const chain = all.filter((facts) => facts !== leaf).map(({ der }) => der);
    return { kind: 'issued', certificate: leaf.der, chain };
  } catch (error) {
    throw new ProvisioningError(
      'ca-bad-answer',
      `The ACME server's certificate cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
}
