import { contextTag, DerReader, tag } from '../../src/x509/der.ts';
import { encode } from '../../src/x509/encode-der.ts';

/**
 * What a CertPoll asks about (RFC 8894 3.3.3), DER:
 * IssuerAndSubject ::= SEQUENCE { issuer Name, subject Name }
 */
export function issuerAndSubject(issuerCertificate: Uint8Array, csr: Uint8Array): Uint8Array {
  return encode(tag.sequence, subjectOfCertificate(issuerCertificate), subjectOfRequest(csr));
}

/** CertificationRequestInfo ::= SEQUENCE { version, subject Name, … }               (RFC 2986 4.1) */
export function subjectOfRequest(csr: Uint8Array): Uint8Array {
  const info = new DerReader(csr, 'The CSR').into('The CSR').into('The CSR');
  info.next(tag.integer);
  return info.next(tag.sequence).bytes;
}

/** TBSCertificate ::= SEQUENCE { version [0], serial, signature, issuer, validity, subject, … } (RFC 5280 4.1) */
function subjectOfCertificate(certificate: Uint8Array): Uint8Array {
  const what = 'The CA certificate';
  const fields = new DerReader(certificate, what).into(what).into(what);
  fields.optional(contextTag(0, 'constructed'));
  fields.next(tag.integer);
  for (let skipped = 0; skipped < 3; skipped++) fields.next(tag.sequence);
  return fields.next(tag.sequence).bytes;
}
