import { constants, type KeyObject, verify } from 'node:crypto';
import { contextTag, DerReader, readOid, tag } from '../../src/x509/der.ts';
import { encode, encodeOid } from '../../src/x509/encode-der.ts';

/** Hashes by name, as node:crypto has them. */
export const hashOids: Readonly<Record<string, string>> = {
  '1.3.14.3.2.26': 'sha1',
  '2.16.840.1.101.3.4.2.4': 'sha224',
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};

/** HMACs (RFC 9481 6.2); the first is what RFC 4210 itself named. */
export const hmacOids: Readonly<Record<string, string>> = {
  '1.3.6.1.5.5.8.1.2': 'sha1',
  '1.2.840.113549.2.7': 'sha1',
  '1.2.840.113549.2.8': 'sha224',
  '1.2.840.113549.2.9': 'sha256',
  '1.2.840.113549.2.10': 'sha384',
  '1.2.840.113549.2.11': 'sha512',
};

const rsassaPss = '1.2.840.113549.1.1.10';
const ed25519 = '1.3.101.112';

const signatureOids: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.5': 'sha1',
  '1.2.840.113549.1.1.14': 'sha224',
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.2.840.10045.4.1': 'sha1',
  '1.2.840.10045.4.3.1': 'sha224',
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
};

export interface Algorithm {
  readonly oid: string;
  /** DER; undefined when there are none. */
  readonly parameters: Uint8Array | undefined;
}

/**
 * AlgorithmIdentifier ::= SEQUENCE { algorithm OBJECT IDENTIFIER, parameters ANY OPTIONAL }
 *
 * @throws {DerError}
 */
export function readAlgorithm(der: Uint8Array): Algorithm {
  const identifier = new DerReader(der, 'An algorithm').into('An algorithm');
  const oid = readOid(identifier.next(tag.oid));
  return { oid, parameters: identifier.done ? undefined : identifier.next().bytes };
}

export function encodeAlgorithm(oid: string, parameters?: Uint8Array): Uint8Array {
  return encode(tag.sequence, encodeOid(oid), ...(parameters === undefined ? [] : [parameters]));
}

/**
 * The hash that belongs to a signature algorithm, which is also the one of a certConf’s certHash
 * (RFC 9810 5.3.18, RFC 9481 2.1); undefined for one that we do not know.
 */
export function hashOfSignature({ oid, parameters }: Algorithm): string | undefined {
  if (oid === ed25519) return 'sha512';
  return oid === rsassaPss ? pssHash(parameters) : signatureOids[oid];
}

/** Whether the signature is good; false also for an algorithm that we do not know. */
export function isSignedBy(
  algorithm: Algorithm,
  data: Uint8Array,
  signature: Uint8Array,
  key: KeyObject,
): boolean {
  const hash = hashOfSignature(algorithm);
  if (hash === undefined) return false;
  if (algorithm.oid === ed25519) return verify(null, data, key, signature);
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  const pss = algorithm.oid === rsassaPss ? { padding } : {};
  return verify(hash, data, { key, ...pss }, signature);
}

/** RSASSA-PSS-params ::= SEQUENCE { hashAlgorithm [0] DEFAULT sha1, … }           (RFC 4055 3.1) */
function pssHash(parameters: Uint8Array | undefined): string | undefined {
  if (parameters === undefined) return undefined;
  const fields = new DerReader(parameters, 'PSS').into('PSS');
  const hash = fields.optional(contextTag(0, 'constructed'));
  return hash === undefined ? 'sha1' : hashOids[readAlgorithm(hash.content).oid];
}
