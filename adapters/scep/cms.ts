import {
  constants,
  createCipheriv,
  createHash,
  type KeyObject,
  publicEncrypt,
  randomBytes,
  sign,
  verify,
  X509Certificate,
} from 'node:crypto';
import { type CertificateFacts, readCertificate } from '../../src/x509/certificate.ts';
import {
  contextTag,
  type DerElement,
  DerError,
  DerReader,
  readOid,
  tag,
} from '../../src/x509/der.ts';
import { encode, encodeOid, encodeSetOf } from '../../src/x509/encode-der.ts';
import { type Cipher, type DigestName, digestOf, oidOfDigest } from './algorithms.ts';
import { berToDer } from './ber.ts';

/*
 * As much of CMS (RFC 5652) as SCEP needs. Node has no CMS, WebCrypto neither RSAES-PKCS1-v1_5 nor DES.
 *
 * ContentInfo ::= SEQUENCE { contentType OBJECT IDENTIFIER, content [0] EXPLICIT ANY }
 */

const dataType = '1.2.840.113549.1.7.1';
const signedDataType = '1.2.840.113549.1.7.2';
export const envelopedDataType = '1.2.840.113549.1.7.3';
const contentTypeAttribute = '1.2.840.113549.1.9.3';
const messageDigestAttribute = '1.2.840.113549.1.9.4';
export const rsaEncryption = '1.2.840.113549.1.1.1';

const explicit0 = contextTag(0, 'constructed');
const rsaAlgorithm = encode(tag.sequence, encodeOid(rsaEncryption), encode(tag.null));
const mostCertificates = 20;

export interface Attribute {
  readonly type: string;
  /** DER. */
  readonly value: Uint8Array;
}

export interface SignedData {
  /** Of the content; undefined when there is none, as in a bag of certificates. */
  readonly content: Uint8Array | undefined;
  /** DER each. */
  readonly certificates: readonly Uint8Array[];
  readonly signer: SignerInfo | undefined;
}

export interface SignerInfo {
  readonly attributes: ReadonlyMap<string, DerElement>;
  /** Whether this key signed the attributes, and they the content. */
  isSignedBy(key: KeyObject): boolean;
}

/**
 * SignedData ::= SEQUENCE { version, digestAlgorithms SET, encapContentInfo, certificates [0] OPTIONAL,
 *   crls [1] OPTIONAL, signerInfos SET }                                               (RFC 5652 5.1)
 *
 * @param bytes BER or DER.
 * @throws {DerError}
 */
export function readSignedData(bytes: Uint8Array): SignedData {
  const { type, fields } = contentInfoOf(berToDer(bytes), 'The SignedData');
  if (type !== signedDataType) {
    throw new DerError(`The SignedData is of type ${type} instead of ${signedDataType}`);
  }
  fields.next(tag.integer);
  fields.next(tag.set);
  const encapsulated = fields.into('The signed content');
  readOid(encapsulated.next(tag.oid));
  const content = encapsulated.done
    ? undefined
    : encapsulated.into('The signed content', explicit0).next(tag.octetString).content;
  const certificates: Uint8Array[] = [];
  const bag = fields.optional(explicit0);
  const entries = new DerReader(bag?.content ?? new Uint8Array(), 'The certificates');
  while (!entries.done) {
    const entry = entries.next();
    // Attribute certificates and other forms have context tags.
    if (entry.tag === tag.sequence) certificates.push(entry.bytes);
  }
  if (certificates.length > mostCertificates) {
    throw new DerError(`The message has more than ${mostCertificates} certificates`);
  }
  fields.optional(contextTag(1, 'constructed'));
  const signers = fields.into('The signers', tag.set);
  const signer = signers.done ? undefined : readSigner(signers.into('The signer'), content);
  return { content, certificates, signer };
}

/**
 * SignerInfo ::= SEQUENCE { version, sid, digestAlgorithm, signedAttrs [0] OPTIONAL, signatureAlgorithm,
 *   signature OCTET STRING, … }                                                        (RFC 5652 5.3)
 */
function readSigner(fields: DerReader, content: Uint8Array | undefined): SignerInfo {
  fields.next(tag.integer);
  fields.next();
  const digestOid = readOid(fields.into('The digest algorithm').next(tag.oid));
  const digest = digestOf(digestOid);
  if (digest === undefined) throw new DerError(`The digest algorithm ${digestOid} is not known`);
  const signed = fields.next(explicit0);
  fields.next(tag.sequence);
  const signature = fields.next(tag.octetString).content;
  const attributes = new Map<string, DerElement>();
  const entries = new DerReader(signed.content, 'The signed attributes');
  while (!entries.done) {
    const attribute = entries.into('A signed attribute');
    const type = readOid(attribute.next(tag.oid));
    if (attributes.has(type)) throw new DerError(`The signed attribute ${type} is there twice`);
    attributes.set(type, attribute.into('A signed attribute', tag.set).next());
  }
  // What is signed has the tag of a SET, not the one it is sent with (RFC 5652 5.4).
  const toBeSigned = encode(tag.set, signed.content);
  const expected = createHash(digest)
    .update(content ?? new Uint8Array())
    .digest();
  const found = attributes.get(messageDigestAttribute)?.content;
  return {
    attributes,
    isSignedBy: (key) =>
      found !== undefined && expected.equals(found) && verify(digest, toBeSigned, key, signature),
  };
}

/** A SignedData with one signer, whose certificate goes along. DER. */
export function signData(
  content: Uint8Array,
  attributes: readonly Attribute[],
  signer: { readonly key: KeyObject; readonly certificate: CertificateFacts },
  digest: DigestName,
): Uint8Array {
  const digestAlgorithm = encode(tag.sequence, encodeOid(oidOfDigest(digest)), encode(tag.null));
  const hash = createHash(digest).update(content).digest();
  const all = [
    ...attributes,
    { type: contentTypeAttribute, value: encodeOid(dataType) },
    { type: messageDigestAttribute, value: encode(tag.octetString, hash) },
  ].map(({ type, value }) => encode(tag.sequence, encodeOid(type), encode(tag.set, value)));
  const signerInfo = encode(
    tag.sequence,
    version(1),
    issuerAndSerialNumber(signer.certificate),
    digestAlgorithm,
    encodeSetOf(all, explicit0),
    rsaAlgorithm,
    encode(tag.octetString, sign(digest, encodeSetOf(all), signer.key)),
  );
  return contentInfo(
    signedDataType,
    version(1),
    encode(tag.set, digestAlgorithm),
    encode(tag.sequence, encodeOid(dataType), encode(explicit0, encode(tag.octetString, content))),
    encode(explicit0, signer.certificate.der),
    encode(tag.set, signerInfo),
  );
}

/**
 * EnvelopedData for one recipient, DER.
 *
 * EnvelopedData ::= SEQUENCE { version, recipientInfos SET, encryptedContentInfo SEQUENCE {
 *   contentType, contentEncryptionAlgorithm, encryptedContent [0] IMPLICIT OCTET STRING } }  (RFC 5652 6.1)
 */
export function envelope(
  content: Uint8Array,
  recipient: CertificateFacts,
  cipher: Cipher,
): Uint8Array {
  const key = randomBytes(cipher.keyBytes);
  const iv = randomBytes(cipher.ivBytes);
  const encryption = createCipheriv(cipher.name, key, iv);
  const encrypted = Buffer.concat([encryption.update(content), encryption.final()]);
  const { publicKey } = new X509Certificate(recipient.der);
  const padding = constants.RSA_PKCS1_PADDING;
  const recipientInfo = encode(
    tag.sequence,
    version(0),
    issuerAndSerialNumber(recipient),
    rsaAlgorithm,
    encode(tag.octetString, publicEncrypt({ key: publicKey, padding }, key)),
  );
  return contentInfo(
    envelopedDataType,
    version(0),
    encode(tag.set, recipientInfo),
    encode(
      tag.sequence,
      encodeOid(dataType),
      encode(tag.sequence, encodeOid(cipher.oid), encode(tag.octetString, iv)),
      encode(contextTag(0, 'primitive'), encrypted),
    ),
  );
}

/** IssuerAndSerialNumber ::= SEQUENCE { issuer Name, serialNumber INTEGER }        (RFC 5652 10.2.4) */
export function issuerAndSerialNumber({ issuer, serialNumberBytes }: CertificateFacts): Uint8Array {
  return encode(tag.sequence, issuer, encode(tag.integer, serialNumberBytes));
}

/** The certificates of a degenerate SignedData, each one readable. */
export function certificatesIn(bytes: Uint8Array): CertificateFacts[] {
  return readSignedData(bytes).certificates.map((der) => readCertificate(der));
}

/** The type of a ContentInfo, and the fields of what is in it. @throws {DerError} */
export function contentInfoOf(
  der: Uint8Array,
  what: string,
): { readonly type: string; readonly fields: DerReader } {
  const info = new DerReader(der, what).into(what);
  const type = readOid(info.next(tag.oid));
  return { type, fields: info.into(what, explicit0).into(what) };
}

function contentInfo(type: string, ...fields: readonly Uint8Array[]): Uint8Array {
  return encode(tag.sequence, encodeOid(type), encode(explicit0, encode(tag.sequence, ...fields)));
}

function version(number: number): Uint8Array {
  return encode(tag.integer, Uint8Array.of(number));
}
