import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto';

/** Signatures that were found good, by a hash of all that went into it, the one wanted longest ago first. */
const verified = new Set<string>();
const mostVerified = 256;

/**
 * Whether `signature` is the key's over `data`, hashed with SHA-256: ECDSA as DER, RSA as PKCS#1 v1.5. What a device
 * signed is checked when it arrives, and once more by a CA of our own, within the same moment: a good signature is
 * remembered, so the second check costs a hash.
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
    if (!verify('sha256', data, keyOf(subjectPublicKeyInfo), signature)) return false;
  }
  verified.delete(fingerprint);
  verified.add(fingerprint);
  const [oldest] = verified;
  if (verified.size > mostVerified && oldest !== undefined) verified.delete(oldest);
  return true;
}

/** It goes in as PEM, because a string costs Node a third of what an object that holds DER does. */
function keyOf(subjectPublicKeyInfo: Uint8Array): KeyObject {
  const base64 = bufferOf(subjectPublicKeyInfo).toString('base64');
  return createPublicKey(`-----BEGIN PUBLIC KEY-----\n${base64}\n-----END PUBLIC KEY-----\n`);
}

function bufferOf(bytes: Uint8Array | Uint32Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
