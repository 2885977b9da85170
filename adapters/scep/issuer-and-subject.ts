import { subjectNameOf } from '../../src/x509/certificate.ts';
import { DerReader, tag } from '../../src/x509/der.ts';
import { encode } from '../../src/x509/encode-der.ts';

/**
 * What a CertPoll asks about (RFC 8894 3.3.3), DER:
 * IssuerAndSubject ::= SEQUENCE { issuer Name, subject Name }
 */
export function issuerAndSubject(issuerCertificate: Uint8Array, csr: Uint8Array): Uint8Array {
  return encode(tag.sequence, subjectNameOf(issuerCertificate), subjectOfRequest(csr));
}

/** CertificationRequestInfo ::= SEQUENCE { version, subject Name, … }               (RFC 2986 4.1) */
export function subjectOfRequest(csr: Uint8Array): Uint8Array {
  const info = new DerReader(csr, 'The CSR').into('The CSR').into('The CSR');
  info.next(tag.integer);
  return info.next(tag.sequence).bytes;
}
