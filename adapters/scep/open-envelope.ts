import {
  type CipherGCMTypes,
  constants,
  createDecipheriv,
  type KeyObject,
  privateDecrypt,
} from 'node:crypto';
import { KeyTransRecipientInfo } from '@peculiar/asn1-cms';
import { AlgorithmIdentifier } from '@peculiar/asn1-x509';
import { messageOf } from '../../src/words/message-of.ts';
import type { BerElement } from '../../src/x509/ber.ts';
import type { CertificateFacts } from '../../src/x509/certificate.ts';
import {
  contextTag,
  type DerElement,
  DerError,
  DerReader,
  readSingle,
  tag,
} from '../../src/x509/der.ts';
import { encode } from '../../src/x509/encode-der.ts';
import { readContentInfo } from '../../src/x509/pkcs7.ts';
import { type Cipher, cipherOf } from './algorithms.ts';
import { envelopedData, rsaEncryption } from './cms.ts';
import { parsed } from './parsed.ts';

/*
 * What a server sends us in an envelope. It is read more widely than it is written: a reply that cannot be read
 * is a certificate that nobody has. step-ca, for one, can be set to AES in Galois/counter mode.
 */

const authEnvelopedData = '1.2.840.113549.1.9.16.1.23';
const mostRecipients = 20;
const tagBytes = 16;

export interface Recipient {
  readonly key: KeyObject;
  readonly certificate: CertificateFacts;
}

/**
 * What is inside an envelope for us.
 *
 * EnvelopedData ::= SEQUENCE { version INTEGER, originatorInfo [0] OPTIONAL, recipientInfos SET,
 *   encryptedContentInfo SEQUENCE, unprotectedAttrs [1] OPTIONAL }                           (RFC 5652 6.1)
 * AuthEnvelopedData ::= SEQUENCE { version INTEGER, originatorInfo [0] OPTIONAL, recipientInfos SET,
 *   authEncryptedContentInfo SEQUENCE, authAttrs [1] OPTIONAL, mac OCTET STRING, … }         (RFC 5083 2.1)
 *
 * @param bytes BER or DER.
 * @throws {DerError} also when it cannot be decrypted.
 */
export function openEnvelope(bytes: Uint8Array, recipient: Recipient): Uint8Array {
  const { type, fields } = readContentInfo(bytes);
  if (type !== envelopedData && type !== authEnvelopedData) {
    throw new DerError(`The envelope is of type ${type} instead of ${envelopedData}`);
  }
  const at = fields.findIndex((field) => field.tag === tag.set);
  const [recipients, inside, ...behind] = fields.slice(at);
  if (recipients?.tag !== tag.set || inside === undefined) {
    throw new DerError('The envelope has no recipients');
  }
  const encryptedKey = keyForUs(recipients.parts, recipient.certificate);
  const [, identifier, encrypted] = inside.parts;
  if (identifier === undefined || encrypted === undefined) {
    throw new DerError('The envelope is empty');
  }
  const what = 'The content encryption';
  const { algorithm, parameters } = parsed(identifier.bytes, AlgorithmIdentifier, what);
  const cipher = cipherOf(algorithm);
  if (cipher === undefined) throw new DerError(`${what} ${algorithm} is not known`);
  const given = new DerReader(new Uint8Array(parameters ?? new ArrayBuffer()), what);
  const iv = initialValue(cipher, given.next());
  const content = encrypted.octets;
  const sealed =
    type === authEnvelopedData ? { ...sealOf(behind), content } : sealBehind(cipher, content);
  try {
    const key = contentKey(encryptedKey, cipher, recipient.key);
    return decrypt(cipher, key, iv, sealed);
  } catch (error) {
    const reason = messageOf(error);
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
function sealOf(fields: readonly BerElement[]): { mac: Uint8Array; attributes: Uint8Array } {
  const authenticated = fields.find((field) => field.tag === contextTag(1, 'constructed'));
  const mac = fields.find((field) => field.tag === tag.octetString);
  if (mac === undefined) throw new DerError('The envelope has no mac');
  const attributes = authenticated?.parts.map((one) => one.bytes) ?? [];
  return {
    mac: mac.octets,
    attributes: attributes.length === 0 ? new Uint8Array() : encode(tag.set, ...attributes),
  };
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

/** The content key that is encrypted to our certificate, else the first one with RSA: some servers name another. */
function keyForUs(entries: readonly BerElement[], certificate: CertificateFacts): Uint8Array {
  const ours = Buffer.from(certificate.serialNumberBytes);
  let other: Uint8Array | undefined;
  for (const { tag: found, bytes } of entries.slice(0, mostRecipients)) {
    if (found !== tag.sequence) continue; // Another way of key management than key transport.
    const { rid, keyEncryptionAlgorithm, encryptedKey } = parsed(
      bytes,
      KeyTransRecipientInfo,
      'The recipient',
    );
    const { serialNumber = new ArrayBuffer() } = rid.issuerAndSerialNumber ?? {};
    const isOurs = ours.equals(new Uint8Array(serialNumber));
    const { algorithm } = keyEncryptionAlgorithm;
    if (algorithm === rsaEncryption) {
      const key = new Uint8Array(encryptedKey.buffer);
      if (isOurs) return key;
      other ??= key;
    } else if (isOurs) throw new DerError(`The key encryption ${algorithm} is not known`);
  }
  if (other === undefined) throw new DerError('The envelope has no recipient with an RSA key');
  return other;
}
