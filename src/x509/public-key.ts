import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto';

/** A device's key is wanted two or three times within seconds, and making it is a third of verifying with it. */
const mostKept = 256;
/** By SubjectPublicKeyInfo in base64, the one that was wanted longest ago first. */
const keys = new Map<string, KeyObject>();
/** Signatures that were found good, by a hash of all that went into it, in the same order. */
const verified = new Map<string, true>();

/**
 * The key of a SubjectPublicKeyInfo (DER). It goes in as PEM, because Node looks at a string for a third of
 * what an object that holds DER costs it.
 *
 * @throws {Error} OpenSSL's, when it is no key.
 */
export function publicKeyOf(subjectPublicKeyInfo: Uint8Array): KeyObject {
  const base64 = bufferOf(subjectPublicKeyInfo).toString('base64');
  const key =
    keys.get(base64) ??
    createPublicKey(`-----BEGIN PUBLIC KEY-----\n${base64}\n-----END PUBLIC KEY-----\n`);
  keep(keys, base64, key);
  return key;
}

/**
 * Whether `signature` is the key's over `data`, hashed with SHA-256: ECDSA as DER, RSA as PKCS#1 v1.5. What a
 * device signed is looked at when it comes and once more by a CA of our own, within the same moment: a good
 * signature is remembered, so that the second look costs a hash.
 *
 * @throws {Error} OpenSSL's, when `subjectPublicKeyInfo` (DER) is no key.
 */
export function isSignedBy(
  subjectPublicKeyInfo: Uint8Array,
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  const lengths = Uint32Array.of(subjectPublicKeyInfo.length, data.length);
  const all = Buffer.concat([bufferOf(lengths), subjectPublicKeyInfo, data, signature]);
  const fingerprint = hash('sha256', all, 'base64');
  if (!verified.has(fingerprint)) {
    if (!verify('sha256', data, publicKeyOf(subjectPublicKeyInfo), signature)) return false;
  }
  keep(verified, fingerprint, true);
  return true;
}

function keep<Value>(kept: Map<string, Value>, name: string, value: Value): void {
  kept.delete(name);
  kept.set(name, value);
  const [oldest] = kept.keys();
  if (kept.size > mostKept && oldest !== undefined) kept.delete(oldest);
}

function bufferOf(bytes: Uint8Array | Uint32Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
