import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHash,
  type KeyObject,
  privateDecrypt,
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
import { type Cipher, cipherOf, type DigestName, digestOf, oidOfDigest } from './algorithms.ts';
import { berToDer, contentOfPiece } from './ber.ts';

/*
 * As much of CMS (RFC 5652) as SCEP needs. Node has no CMS, WebCrypto neither RSAES-PKCS1-v1_5 nor DES.
 *
 * ContentInfo ::= SEQUENCE { contentType OBJECT IDENTIFIER, content [0] EXPLICIT ANY }
 */

const dataType = '1.2.840.113549.1.7.1';
const signedDataType = '1.2.840.113549.1.7.2';
const envelopedDataType = '1.2.840.113549.1.7.3';
const contentTypeAttribute = '1.2.840.113549.1.9.3';
const messageDigestAttribute = '1.2.840.113549.1.9.4';
const rsaEncryption = '1.2.840.113549.1.1.1';

const explicit0 = contextTag(0, 'constructed');
const rsaAlgorithm = encode(tag.sequence, encodeOid(rsaEncryption), encode(tag.null));
const mostCertificates = 20;
const mostRecipients = 20;

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

/** Whether this is a SignedData at all, and not, for example, a bare certificate. */
export function isSignedData(bytes: Uint8Array): boolean {
  const oid = encodeOid(signedDataType);
  // Tag and length come first; their size depends on the length's form.
  return [2, 3, 4, 5, 6].some(
    (at) => Buffer.compare(bytes.subarray(at, at + oid.length), oid) === 0,
  );
}

/**
 * SignedData ::= SEQUENCE { version, digestAlgorithms SET, encapContentInfo, certificates [0] OPTIONAL,
 *   crls [1] OPTIONAL, signerInfos SET }                                               (RFC 5652 5.1)
 *
 * @param bytes BER or DER.
 * @throws {DerError}
 */
export function readSignedData(bytes: Uint8Array): SignedData {
  const fields = contentOf(berToDer(bytes), signedDataType, 'The SignedData');
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

/**
 * What is inside an envelope for us.
 *
 * @param bytes BER or DER.
 * @throws {DerError} also when it cannot be decrypted.
 */
export function openEnvelope(
  bytes: Uint8Array,
  recipient: { readonly key: KeyObject; readonly certificate: CertificateFacts },
): Uint8Array {
  const fields = contentOf(berToDer(bytes), envelopedDataType, 'The envelope');
  fields.next(tag.integer);
  fields.optional(explicit0);
  const encryptedKey = keyForUs(fields.into('The recipients', tag.set), recipient.certificate);
  const inside = fields.into('The encrypted content');
  readOid(inside.next(tag.oid));
  const algorithm = inside.into('The content encryption');
  const oid = readOid(algorithm.next(tag.oid));
  const cipher = cipherOf(oid);
  if (cipher === undefined) throw new DerError(`The content encryption ${oid} is not known`);
  const iv = algorithm.next(tag.octetString).content;
  const encrypted = encryptedContent(inside.next());
  try {
    // A wrong padding gives random bytes, not an error (OpenSSL's implicit rejection): the length tells.
    const padding = constants.RSA_PKCS1_PADDING;
    const found = privateDecrypt({ key: recipient.key, padding }, encryptedKey);
    if (found.length !== cipher.keyBytes) throw new Error('its key has the wrong length');
    const key = cipher.keyBytes === 8 ? Buffer.concat([found, found, found]) : found;
    const decryption = createDecipheriv(cipher.name, key, iv);
    return Buffer.concat([decryption.update(encrypted), decryption.final()]);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DerError(`The envelope cannot be opened with our key (${reason})`);
  }
}

/** KeyTransRecipientInfo ::= SEQUENCE { version, rid, keyEncryptionAlgorithm, encryptedKey }  (RFC 5652 6.2.1) */
function keyForUs(recipients: DerReader, certificate: CertificateFacts): Uint8Array {
  const ours = Buffer.from(issuerAndSerialNumber(certificate));
  let other: Uint8Array | undefined;
  for (let count = 0; !recipients.done && count < mostRecipients; count++) {
    const entry = recipients.next();
    if (entry.tag !== tag.sequence) continue; // Another way of key management than key transport.
    const fields = new DerReader(entry.content, 'The recipient');
    fields.next(tag.integer);
    const identifier = fields.next();
    const oid = readOid(fields.into('The key encryption').next(tag.oid));
    const encryptedKey = fields.next(tag.octetString).content;
    if (oid !== rsaEncryption) {
      if (!ours.equals(identifier.bytes)) continue;
      throw new DerError(`The key encryption ${oid} is not known`);
    }
    if (ours.equals(identifier.bytes)) return encryptedKey;
    other ??= encryptedKey;
  }
  if (other === undefined) throw new DerError('The envelope has no recipient with an RSA key');
  return other;
}

/** [0] IMPLICIT OCTET STRING, in one piece or, in BER, in several. */
function encryptedContent(element: DerElement): Uint8Array {
  if (element.tag === contextTag(0, 'primitive')) return element.content;
  if (element.tag !== explicit0) throw new DerError('The envelope is empty');
  const pieces: Uint8Array[] = [];
  const reader = new DerReader(element.content, 'The encrypted content');
  while (!reader.done) pieces.push(contentOfPiece(reader.next().bytes));
  return Buffer.concat(pieces);
}

/** IssuerAndSerialNumber ::= SEQUENCE { issuer Name, serialNumber INTEGER }        (RFC 5652 10.2.4) */
function issuerAndSerialNumber({ issuer, serialNumberBytes }: CertificateFacts): Uint8Array {
  return encode(tag.sequence, issuer, encode(tag.integer, serialNumberBytes));
}

/** The certificates of a degenerate SignedData, each one readable. */
export function certificatesIn(bytes: Uint8Array): CertificateFacts[] {
  return readSignedData(bytes).certificates.map((der) => readCertificate(der));
}

function contentOf(der: Uint8Array, type: string, what: string): DerReader {
  const info = new DerReader(der, what).into(what);
  const found = readOid(info.next(tag.oid));
  if (found !== type) throw new DerError(`${what} is of type ${found} instead of ${type}`);
  return info.into(what, explicit0).into(what);
}

function contentInfo(type: string, ...fields: readonly Uint8Array[]): Uint8Array {
  return encode(tag.sequence, encodeOid(type), encode(explicit0, encode(tag.sequence, ...fields)));
}

function version(number: number): Uint8Array {
  return encode(tag.integer, Uint8Array.of(number));
}
