import {
  type CipherGCMTypes,
  constants,
  createDecipheriv,
  type KeyObject,
  privateDecrypt,
} from 'node:crypto';
import type { CertificateFacts } from '../../src/x509/certificate.ts';
import {
  contextTag,
  type DerElement,
  DerError,
  DerReader,
  readOid,
  readSingle,
  tag,
} from '../../src/x509/der.ts';
import { encode } from '../../src/x509/encode-der.ts';
import { type Cipher, cipherOf } from './algorithms.ts';
import { berToDer, contentOfPiece } from './ber.ts';
import { contentInfoOf, envelopedDataType, issuerAndSerialNumber, rsaEncryption } from './cms.ts';

/*
 * What a server sends us in an envelope. It is read more widely than it is written: a reply that cannot be read
 * is a certificate that nobody has. step-ca, for one, can be set to AES in Galois/counter mode.
 */

const authEnvelopedDataType = '1.2.840.113549.1.9.16.1.23';
const mostRecipients = 20;
const explicit0 = contextTag(0, 'constructed');
const tagBytes = 16;

export interface Recipient {
  readonly key: KeyObject;
  readonly certificate: CertificateFacts;
}

/**
 * What is inside an envelope for us: EnvelopedData (RFC 5652 6.1) or AuthEnvelopedData (RFC 5083 2.1).
 *
 * AuthEnvelopedData ::= SEQUENCE { version, originatorInfo [0] OPTIONAL, recipientInfos SET,
 *   authEncryptedContentInfo, authAttrs [1] OPTIONAL, mac OCTET STRING, unauthAttrs [2] OPTIONAL }
 *
 * @param bytes BER or DER.
 * @throws {DerError} also when it cannot be decrypted.
 */
export function openEnvelope(bytes: Uint8Array, recipient: Recipient): Uint8Array {
  const { type, fields } = contentInfoOf(berToDer(bytes), 'The envelope');
  if (type !== envelopedDataType && type !== authEnvelopedDataType) {
    throw new DerError(`The envelope is of type ${type} instead of ${envelopedDataType}`);
  }
  fields.next(tag.integer);
  fields.optional(explicit0);
  const encryptedKey = keyForUs(fields.into('The recipients', tag.set), recipient.certificate);
  const inside = fields.into('The encrypted content');
  readOid(inside.next(tag.oid));
  const algorithm = inside.into('The content encryption');
  const oid = readOid(algorithm.next(tag.oid));
  const cipher = cipherOf(oid);
  if (cipher === undefined) throw new DerError(`The content encryption ${oid} is not known`);
  const iv = initialValue(cipher, algorithm.next());
  const content = encryptedContent(inside.next());
  const sealed =
    type === authEnvelopedDataType ? { ...sealOf(fields), content } : sealBehind(cipher, content);
  try {
    const key = contentKey(encryptedKey, cipher, recipient.key);
    return decrypt(cipher, key, iv, sealed);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DerError(`The envelope cannot be opened with our key (${reason})`);
  }
}

interface Sealed {
  readonly content: Uint8Array;
  /** What a cipher with authentication checks; undefined for the others. */
  readonly mac?: Uint8Array;
  /** What the mac is over besides the content. */
  readonly attributes?: Uint8Array;
}

/** What is authenticated has the tag of a SET, not the one it is sent with (RFC 5083 2.2). */
function sealOf(fields: DerReader): { mac: Uint8Array; attributes: Uint8Array } {
  const found = fields.optional(contextTag(1, 'constructed'));
  const mac = fields.next(tag.octetString).content;
  return { mac, attributes: found ? encode(tag.set, found.content) : new Uint8Array() };
}

/** RFC 5652 has no place for a mac: Go's pkcs7, which step-ca uses, writes it behind the content. */
function sealBehind({ authenticates }: Cipher, content: Uint8Array): Sealed {
  if (authenticates !== true) return { content };
  const at = Math.max(0, content.length - tagBytes);
  return { content: content.subarray(0, at), mac: content.subarray(at) };
}

/**
 * The IV as an OCTET STRING, or GCMParameters ::= SEQUENCE { nonce OCTET STRING, ICVlen INTEGER DEFAULT 12 }
 * (RFC 5084 3.2). Go's pkcs7 wraps these into one more, whose tag lacks the bit that says so, and gives the nonce
 * the tag [4].
 */
function initialValue({ authenticates }: Cipher, parameters: DerElement): Uint8Array {
  if (authenticates !== true || parameters.tag === tag.octetString) {
    if (parameters.tag === tag.octetString) return parameters.content;
    throw new DerError('The content encryption has no initial value');
  }
  const what = 'The parameters of the content encryption';
  const isWrapped = parameters.content[0] === tag.sequence;
  const content = isWrapped
    ? readSingle(parameters.content, tag.sequence, what).content
    : parameters.content;
  const nonce = new DerReader(content, what).next();
  if (nonce.tag === tag.octetString || nonce.tag === contextTag(4, 'primitive')) {
    return nonce.content;
  }
  throw new DerError(`${what} have no nonce`);
}

function contentKey(encrypted: Uint8Array, cipher: Cipher, key: KeyObject): Buffer {
  // A wrong padding gives random bytes, not an error (OpenSSL's implicit rejection): the length tells.
  const padding = constants.RSA_PKCS1_PADDING;
  const found = privateDecrypt({ key, padding }, encrypted);
  if (found.length !== cipher.keyBytes) throw new Error('its key has the wrong length');
  return cipher.keyBytes === 8 ? Buffer.concat([found, found, found]) : found;
}

function decrypt(cipher: Cipher, key: Buffer, iv: Uint8Array, sealed: Sealed): Uint8Array {
  const { mac, attributes, content } = sealed;
  if (!isGcm(cipher.name)) {
    if (mac !== undefined) throw new Error('its cipher has no authentication');
    const decryption = createDecipheriv(cipher.name, key, iv);
    return Buffer.concat([decryption.update(content), decryption.final()]);
  }
  // A shorter one would be easier to forge.
  if (mac?.length !== tagBytes) throw new Error(`its mac has not ${tagBytes} bytes`);
  const decryption = createDecipheriv(cipher.name, key, iv, { authTagLength: tagBytes });
  decryption.setAuthTag(mac);
  if (attributes !== undefined && attributes.length > 0) decryption.setAAD(attributes);
  return Buffer.concat([decryption.update(content), decryption.final()]);
}

function isGcm(name: string): name is CipherGCMTypes {
  return name.endsWith('-gcm');
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
    const key = fields.next(tag.octetString).content;
    if (oid !== rsaEncryption) {
      if (!ours.equals(identifier.bytes)) continue;
      throw new DerError(`The key encryption ${oid} is not known`);
    }
    if (ours.equals(identifier.bytes)) return key;
    other ??= key;
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
