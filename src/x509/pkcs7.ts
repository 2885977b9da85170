import { DerError, readOid, tag } from './der.ts';
import { encodeOid } from './encode-der.ts';

const signedData = '1.2.840.113549.1.7.2';
const certificateSet = 0xa0;
/** A leaf and any sensible chain; cacerts may list a few hierarchies. */
const mostCertificates = 100;
const deepest = 16;

/** Whether this is SignedData, and not, for example, a bare certificate. The length may have any form. */
export function isPkcs7(bytes: Uint8Array): boolean {
  const oid = encodeOid(signedData);
  return [2, 3, 4, 5, 6].some(
    (at) => Buffer.compare(bytes.subarray(at, at + oid.length), oid) === 0,
  );
}

/**
 * The certificates (DER) of a degenerate SignedData, in the order in which they are there.
 *
 * ContentInfo ::= SEQUENCE { contentType OBJECT IDENTIFIER, content [0] EXPLICIT SignedData }   (RFC 5652 3)
 * SignedData ::= SEQUENCE { version INTEGER, digestAlgorithms SET, encapContentInfo SEQUENCE,
 *   certificates [0] IMPLICIT SET OF CertificateChoices OPTIONAL, … }                            (RFC 5652 5.1)
 *
 * CMS may be BER, and some CAs write indefinite lengths around the certificates: these are read too.
 *
 * @throws {DerError}
 */
export function certificatesOfPkcs7(bytes: Uint8Array): Uint8Array[] {
  const [contentInfo, ...more] = elements(bytes);
  if (contentInfo?.tag !== tag.sequence || more.length > 0) {
    throw new DerError('The PKCS#7 structure is not one SEQUENCE');
  }
  const [type, wrapped] = elements(contentInfo.content);
  if (type?.tag !== tag.oid || readOid(type) !== signedData || wrapped?.tag !== 0xa0) {
    throw new DerError('The PKCS#7 structure is not SignedData');
  }
  const [data] = elements(wrapped.content);
  if (data?.tag !== tag.sequence) throw new DerError('SignedData is not a SEQUENCE');
  const parts = elements(data.content);
  if (parts[0]?.tag !== tag.integer || parts[1]?.tag !== tag.set) {
    throw new DerError('SignedData does not begin with a version and digest algorithms');
  }
  const set = parts.slice(3).find((part) => part.tag === certificateSet);
  if (set === undefined) return [];
  // Attribute certificates and other choices have other tags.
  return elements(set.content)
    .filter((one) => one.tag === tag.sequence)
    .map((one) => one.bytes);
}

interface BerElement {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Tag, length and content. */
  readonly bytes: Uint8Array;
}

function elements(bytes: Uint8Array): BerElement[] {
  const found: BerElement[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (found.length > mostCertificates) throw new DerError('PKCS#7 has too many elements');
    const one = elementAt(bytes, at, 0);
    found.push(one);
    at += one.bytes.length;
  }
  return found;
}

function elementAt(bytes: Uint8Array, at: number, depth: number): BerElement {
  const elementTag = bytes[at];
  const first = bytes[at + 1];
  if (elementTag === undefined || first === undefined) throw new DerError('PKCS#7 ends too early');
  if ((elementTag & 0x1f) === 0x1f) throw new DerError('PKCS#7 has a tag of several bytes');
  if (depth > deepest) throw new DerError('PKCS#7 is nested too deeply');
  if (first === 0x80) return indefiniteAt(bytes, at, elementTag, depth);
  const count = first < 0x80 ? 0 : first & 0x7f;
  if (count > 4) throw new DerError('PKCS#7 has a length that is too large');
  let length = count === 0 ? first : 0;
  for (let i = 0; i < count; i++) length = length * 256 + (bytes[at + 2 + i] ?? 0);
  const start = at + 2 + count;
  if (start + length > bytes.length) throw new DerError('PKCS#7 ends too early');
  return {
    tag: elementTag,
    content: bytes.subarray(start, start + length),
    bytes: bytes.subarray(at, start + length),
  };
}

/** Ends at the end-of-contents octets (X.690 8.1.5). */
function indefiniteAt(
  bytes: Uint8Array,
  at: number,
  elementTag: number,
  depth: number,
): BerElement {
  if ((elementTag & 0x20) === 0) throw new DerError('PKCS#7 has a primitive of indefinite length');
  let end = at + 2;
  while (bytes[end] !== 0 || bytes[end + 1] !== 0) {
    end += elementAt(bytes, end, depth + 1).bytes.length;
  }
  return {
    tag: elementTag,
    content: bytes.subarray(at + 2, end),
    bytes: bytes.subarray(at, end + 2),
  };
}
