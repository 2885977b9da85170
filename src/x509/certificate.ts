import {
  contextTag,
  DerError,
  DerReader,
  readBitString,
  readBoolean,
  readInside,
  readInteger,
  readOid,
  readSingle,
  readSmallInteger,
  readTime,
  tag,
} from './der.ts';
import type { DistinguishedName } from './distinguished-name.ts';
import { decodeName } from './distinguished-name.ts';
import {
  type AnyKeyUsage,
  decodeExtendedKeyUsage,
  decodeExtensions,
  decodeKeyIdentifier,
  decodeKeyUsage,
  decodeSubjectAltName,
  type Extension,
  extensionOid,
  type FoundAltName,
} from './extensions.ts';

/** What a certificate says, narrowed. Nothing here is verified: see `checkCertificate` and `chainsTo`. */
export interface CertificateFacts {
  /** The whole certificate. */
  readonly der: Uint8Array;
  /** What of it is signed, DER, and the signature over that. */
  readonly signedPart: Uint8Array;
  readonly signature: Uint8Array;
  /**
   * Upper-case hexadecimal, an even number of digits, without a sign byte, and with a minus where it is negative
   * (RFC 5280 4.1.2.2 has no such ones, and there are): as openssl prints it.
   */
  readonly serialNumber: string;
  /** The content of its INTEGER, as it is in the certificate. */
  readonly serialNumberBytes: Uint8Array;
  readonly subject: DistinguishedName;
  /** The subject's name and the issuer's, DER. */
  readonly subjectName: Uint8Array;
  readonly issuer: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** What it is signed with: AlgorithmIdentifier, DER. */
  readonly signatureAlgorithm: Uint8Array;
  /** DER, byte for byte as it is in the certificate. */
  readonly subjectPublicKeyInfo: Uint8Array;
  readonly isCa: boolean;
  /** How many CAs may follow below this one; undefined when that is not limited. */
  readonly pathLength: number | undefined;
  /** Undefined when the certificate does not limit its use. */
  readonly keyUsages: readonly AnyKeyUsage[] | undefined;
  /** Object identifiers; undefined when the certificate does not limit its use. */
  readonly extendedKeyUsages: readonly string[] | undefined;
  readonly subjectAltNames: readonly FoundAltName[];
  /** Undefined when the certificate does not say, or not legibly. */
  readonly subjectKeyIdentifier: Uint8Array | undefined;
  readonly authorityKeyIdentifier: Uint8Array | undefined;
  readonly extensions: readonly Extension[];
}

/** Larger than any certificate of a device: 64 KiB. */
const mostBytes = 65_536;

/**
 * Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signature BIT STRING }   (RFC 5280 4.1)
 *
 * @param der exactly one certificate, without anything behind it.
 * @throws {Error} with a sentence that says what is wrong.
 */
export function readCertificate(der: Uint8Array): CertificateFacts {
  if (der.length > mostBytes) {
    throw new Error(`The certificate has ${der.length} bytes; ${mostBytes} are read at most.`);
  }
  try {
    return parse(der);
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw new Error(`This is not a readable certificate. ${error.message}.`, { cause: error });
  }
}

/**
 * issuerUniqueID [1], subjectUniqueID [2]: IMPLICIT BIT STRING (RFC 5280 4.1.2.8). Nobody uses them, but OpenSSL reads no
 * certificate in which one is wrong, and what cannot be used must not be delivered.
 */
function skipUniqueId(tbs: DerReader, number: 1 | 2): void {
  const id = tbs.optional(contextTag(number, 'primitive'));
  if (id === undefined) return;
  const [unusedBits] = id.content;
  if (unusedBits === undefined || unusedBits > 7)
    throw new DerError('A unique ID is no BIT STRING');
}

/**
 * A certificate's serial number (RFC 5280 4.1.2.2), upper-case hexadecimal, without reading the rest.
 *
 * @throws {DerError}
 */
export function serialNumberOf(der: Uint8Array): string {
  const tbs = new DerReader(der, 'The certificate').into('The certificate').into('The signed part');
  tbs.optional(contextTag(0, 'constructed'));
  return formatSerial(readInteger(tbs.next(tag.integer)));
}

/**
 * A certificate's subject (RFC 5280 4.1.2.6), a Name, DER: byte for byte, without reading the rest.
 *
 * @throws {DerError}
 */
export function subjectNameOf(der: Uint8Array): Uint8Array {
  const tbs = new DerReader(der, 'The certificate').into('The certificate').into('The signed part');
  tbs.optional(contextTag(0, 'constructed'));
  tbs.next(tag.integer);
  for (let skipped = 0; skipped < 3; skipped++) tbs.next(tag.sequence);
  return tbs.next(tag.sequence).bytes;
}

function parse(der: Uint8Array): CertificateFacts {
  const whole = readSingle(der, tag.sequence, 'The certificate');
  const outer = new DerReader(whole.content, 'The certificate');
  const signedPart = outer.next(tag.sequence).bytes;
  const tbs = readInside(signedPart, 'The signed part');
  const outerAlgorithm = outer.next(tag.sequence).bytes;
  const signature = readBitString(outer.next(tag.bitString));
  outer.finish();

  // version [0] EXPLICIT INTEGER DEFAULT v1 (0)
  const wrapped = tbs.optional(contextTag(0, 'constructed'));
  const version =
    wrapped === undefined
      ? 0
      : readSmallInteger(readSingle(wrapped.content, tag.integer, 'The version'));
  if (version > 2) throw new DerError(`The version is ${version + 1}`);
  const serialNumberBytes = readInteger(tbs.next(tag.integer));
  const signatureAlgorithm = tbs.next(tag.sequence).bytes;
  if (Buffer.compare(signatureAlgorithm, outerAlgorithm) !== 0) {
    throw new DerError('The certificate names two different signature algorithms');
  }
  const issuer = tbs.next(tag.sequence).bytes;
  const validity = tbs.into('The validity');
  const notBefore = readTime(validity.next());
  const notAfter = readTime(validity.next());
  validity.finish();
  const subjectName = tbs.next(tag.sequence).bytes;
  const subjectPublicKeyInfo = tbs.next(tag.sequence).bytes;
  skipUniqueId(tbs, 1);
  skipUniqueId(tbs, 2);
  const extensions = tbs.optional(contextTag(3, 'constructed'));
  tbs.finish();
  const list = extensions === undefined ? [] : decodeExtensions(extensions.content);
  return {
    der: whole.bytes,
    signedPart,
    signature,
    serialNumber: formatSerial(serialNumberBytes),
    serialNumberBytes,
    signatureAlgorithm,
    subject: decodeName(subjectName),
    subjectName,
    issuer,
    notBefore,
    notAfter,
    subjectPublicKeyInfo,
    ...factsOfExtensions(list),
    extensions: list,
  };
}

function factsOfExtensions(extensions: readonly Extension[]) {
  const find = (type: string) => extensions.find((extension) => extension.type === type)?.value;
  const constraints = find(extensionOid.basicConstraints);
  const usages = find(extensionOid.keyUsage);
  const extended = find(extensionOid.extendedKeyUsage);
  const names = find(extensionOid.subjectAltName);
  const own = find(extensionOid.subjectKeyIdentifier);
  const issuers = find(extensionOid.authorityKeyIdentifier);
  return {
    ...(constraints === undefined
      ? { isCa: false, pathLength: undefined }
      : decodeBasicConstraints(constraints)),
    keyUsages: usages === undefined ? undefined : decodeKeyUsage(usages),
    extendedKeyUsages: extended === undefined ? undefined : decodeExtendedKeyUsage(extended),
    subjectAltNames: names === undefined ? [] : decodeSubjectAltName(names),
    subjectKeyIdentifier: own && decodeKeyIdentifier(own, 'subject'),
    authorityKeyIdentifier: issuers && decodeKeyIdentifier(issuers, 'authority'),
  };
}

/** BasicConstraints ::= SEQUENCE { cA BOOLEAN DEFAULT FALSE, pathLenConstraint INTEGER OPTIONAL } */
function decodeBasicConstraints(value: Uint8Array): {
  isCa: boolean;
  pathLength: number | undefined;
} {
  const what = 'The basic constraints';
  const sequence = readInside(value, what);
  const ca = sequence.optional(tag.boolean);
  const length = sequence.optional(tag.integer);
  sequence.finish();
  return {
    isCa: ca !== undefined && readBoolean(ca),
    pathLength: length === undefined ? undefined : readSmallInteger(length),
  };
}

function formatSerial(content: Uint8Array): string {
  const hex = Buffer.from(content).toString('hex').toUpperCase();
  // Of a positive number a first byte of zero is for the sign.
  if ((content[0] ?? 0) < 0x80) return content.length > 1 ? hex.replace(/^00/, '') : hex;
  const digits = ((1n << BigInt(content.length * 8)) - BigInt(`0x${hex}`)).toString(16);
  return `-${digits.length % 2 === 0 ? '' : '0'}${digits.toUpperCase()}`;
}

/**
 * The algorithm of a SubjectPublicKeyInfo and its key's bytes.
 *
 * SubjectPublicKeyInfo ::= SEQUENCE {                          (RFC 5280 4.1.2.7)
 *   SEQUENCE { algorithm OBJECT IDENTIFIER, parameters ANY OPTIONAL }, BIT STRING }
 *
 * @throws {DerError}
 */
export function readPublicKeyInfo(der: Uint8Array): {
  readonly algorithm: string;
  /** DER; undefined when there are none. */
  readonly parameters: Uint8Array | undefined;
  readonly key: Uint8Array;
} {
  const what = 'The public key';
  const outer = readInside(der, what);
  const identifier = outer.into('The public key’s algorithm');
  const key = readBitString(outer.next(tag.bitString));
  outer.finish();
  const algorithm = readOid(identifier.next(tag.oid));
  const parameters = identifier.done ? undefined : identifier.next().bytes;
  identifier.finish();
  return { algorithm, parameters, key };
}
