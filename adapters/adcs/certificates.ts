import { readCertificate } from '../../src/x509/certificate.ts';
import { contextTag, DerReader, readOid, tag } from '../../src/x509/der.ts';

const signedData = '1.2.840.113549.1.7.2';
const mostCertificates = 50;

/**
 * The certificates of a SignedData: a CMC response (RFC 5272 4.1) or a plain bag. DER each.
 *
 * ContentInfo ::= SEQUENCE { contentType, [0] EXPLICIT SignedData }          (RFC 5652 3, 5.1)
 * SignedData ::= SEQUENCE { version, digestAlgorithms SET, encapContentInfo SEQUENCE,
 *   certificates [0] IMPLICIT SET OPTIONAL, crls [1] IMPLICIT SET OPTIONAL, signerInfos SET }
 *
 * Its signature is not looked at: each certificate is judged by its own chain.
 *
 * @throws {DerError}
 */
export function certificatesOf(der: Uint8Array): Uint8Array[] {
  const info = new DerReader(der, 'The PKCS #7').into('The PKCS #7');
  if (readOid(info.next(tag.oid)) !== signedData) return [];
  const data = info.into('The content', contextTag(0, 'constructed')).into('The SignedData');
  data.next(tag.integer);
  data.next(tag.set);
  data.next(tag.sequence);
  const bag = data.optional(contextTag(0, 'constructed'));
  if (bag === undefined) return [];
  const reader = new DerReader(bag.content, 'The certificates');
  const certificates: Uint8Array[] = [];
  while (!reader.done && certificates.length < mostCertificates) {
    const element = reader.next();
    if (element.tag === tag.sequence) certificates.push(element.bytes);
  }
  return certificates;
}

/** The certificate of this key, and the others. */
export function leafAndChain(
  certificates: readonly Uint8Array[],
  subjectPublicKeyInfo: Uint8Array,
): { readonly certificate: Uint8Array; readonly chain: readonly Uint8Array[] } | undefined {
  const certificate = certificates.find(
    (der) => Buffer.compare(readCertificate(der).subjectPublicKeyInfo, subjectPublicKeyInfo) === 0,
  );
  if (certificate === undefined) return undefined;
  const chain = certificates.filter((der) => Buffer.compare(der, certificate) !== 0);
  return { certificate, chain };
}

/** Base64 with line breaks anywhere, and with or without the lines of PEM; undefined when it is none. */
export function decodeLooseBase64(text: string): Uint8Array | undefined {
  const base64 = text.replace(/-----(BEGIN|END) [A-Z0-9 ]{1,40}-----/g, '').replace(/\s+/g, '');
  if (base64 === '' || !/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) return undefined;
  return new Uint8Array(Buffer.from(base64, 'base64'));
}
