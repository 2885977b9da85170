import { createPublicKey, type KeyObject } from 'node:crypto';
import { encodePem } from './pem.ts';

/**
 * The key of a SubjectPublicKeyInfo (DER). It goes in as PEM, because Node looks at a string for a third of
 * what an object that holds DER costs it.
 *
 * @throws {Error} OpenSSL's, when it is no key.
 */
export function publicKeyOf(subjectPublicKeyInfo: Uint8Array): KeyObject {
  return createPublicKey(encodePem('PUBLIC KEY', subjectPublicKeyInfo));
}
