import { createPublicKey, type KeyObject } from 'node:crypto';
import { encodePem } from './pem.ts';

/** A device's key is wanted two or three times within seconds, and making it is a third of verifying with it. */
const mostKept = 256;
/** By SubjectPublicKeyInfo in PEM, the one that was wanted longest ago first. */
const kept = new Map<string, KeyObject>();

/**
 * The key of a SubjectPublicKeyInfo (DER). It goes in as PEM, because Node looks at a string for a third of
 * what an object that holds DER costs it.
 *
 * @throws {Error} OpenSSL's, when it is no key.
 */
export function publicKeyOf(subjectPublicKeyInfo: Uint8Array): KeyObject {
  const pem = encodePem('PUBLIC KEY', subjectPublicKeyInfo);
  const key = kept.get(pem) ?? createPublicKey(pem);
  kept.delete(pem);
  kept.set(pem, key);
  const [oldest] = kept.keys();
  if (kept.size > mostKept && oldest !== undefined) kept.delete(oldest);
  return key;
}
