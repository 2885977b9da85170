import { type BerElement, readBer } from './ber.ts';
import { contextTag, DerError, DerReader, readOid, tag } from './der.ts';
import { encodeOid } from './encode-der.ts';

/* PKCS#7, which is now CMS (RFC 5652), as far as its bags of certificates and its outermost form go. */

export const signedData = '1.2.840.113549.1.7.2';
const explicit0 = contextTag(0, 'constructed');
/** A leaf and any sensible chain; cacerts may list a few hierarchies. */
const mostCertificates = 100;

/** Whether this is SignedData, and not, for example, a bare certificate. The length may have any form. */
export function isPkcs7(bytes: Uint8Array): boolean {
  const oid = encodeOid(signedData);
  return [2, 3, 4, 5, 6].some(
    (at) => Buffer.compare(bytes.subarray(at, at + oid.length), oid) === 0,
  );
}

/** The certificates of a SignedData, DER each, in the order in which they are there. @throws {DerError} */
export function certificatesOfPkcs7(bytes: Uint8Array): Uint8Array[] {
  return [...readSignedData(bytes).certificates];
}

/** What a SignedData holds; certificates and signers as they were written. */
export interface SignedDataParts {
  /** Of its OCTET STRING; undefined when there is none, as in a bag of certificates. */
  readonly content: Uint8Array | undefined;
  readonly certificates: readonly Uint8Array[];
  /** SignerInfos. */
  readonly signers: readonly Uint8Array[];
}

/**
 * SignedData ::= SEQUENCE { version INTEGER, digestAlgorithms SET, encapContentInfo SEQUENCE {
 *   eContentType OBJECT IDENTIFIER, eContent [0] EXPLICIT OCTET STRING OPTIONAL },
 *   certificates [0] IMPLICIT SET OPTIONAL, crls [1] IMPLICIT SET OPTIONAL, signerInfos SET }  (RFC 5652 5.1)
 *
 * No signature is looked at, and no certificate read.
 *
 * @param bytes BER or DER.
 * @throws {DerError}
 */
export function readSignedData(bytes: Uint8Array): SignedDataParts {
  const { type, fields } = readContentInfo(bytes);
  if (type !== signedData) {
    throw new DerError(`The PKCS#7 structure is of type ${type} instead of SignedData`);
  }
  const [version, digests, encapsulated, ...sets] = fields;
  if (version?.tag !== tag.integer || digests?.tag !== tag.set || encapsulated === undefined) {
    throw new DerError('SignedData in PKCS#7 does not begin with a version and digest algorithms');
  }
  const all = (of: number) => sets.find((one) => one.tag === of)?.parts ?? [];
  // Attribute certificates and other choices have other tags.
  const certificates = all(explicit0).filter((one) => one.tag === tag.sequence);
  if (certificates.length > mostCertificates) {
    throw new DerError(`The PKCS#7 structure has more than ${mostCertificates} certificates`);
  }
  return {
    content: encapsulated.parts[1]?.parts[0]?.octets,
    certificates: certificates.map((one) => one.bytes),
    signers: all(tag.set).map((one) => one.bytes),
  };
}

/**
 * ContentInfo ::= SEQUENCE { contentType OBJECT IDENTIFIER, content [0] EXPLICIT SEQUENCE }     (RFC 5652 3)
 *
 * @param bytes BER or DER.
 * @throws {DerError}
 */
export function readContentInfo(bytes: Uint8Array): {
  readonly type: string;
  /** Of the content. */
  readonly fields: readonly BerElement[];
} {
  const info = readBer(bytes, 'The PKCS#7 structure');
  const [type, wrapped] = info.tag === tag.sequence ? info.parts : [];
  if (type?.tag !== tag.oid || wrapped?.tag !== explicit0) {
    throw new DerError('The PKCS#7 structure is no ContentInfo');
  }
  const [content] = wrapped.parts;
  if (content?.tag !== tag.sequence) throw new DerError('The PKCS#7 structure has no content');
  return { type: readOid(new DerReader(type.bytes, 'Its type').next()), fields: content.parts };
}
