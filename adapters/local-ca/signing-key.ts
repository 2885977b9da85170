import { createPublicKey, KeyObject, sign } from 'node:crypto';
import type { KeyType } from '../../src/request/requested-certificate.ts';
import { tag } from '../../src/x509/der.ts';
import { encode, encodeOid } from '../../src/x509/encode-der.ts';

/** A private key that stays where it is and signs there. Both ways sign with SHA-256: ECDSA as DER, RSA as PKCS#1 v1.5. */
export interface RemoteKey {
  readonly keyType: KeyType;
  /** DER. */
  readonly subjectPublicKeyInfo: Uint8Array;
  /** The event loop waits meanwhile. */
  sign(data: Uint8Array): Uint8Array;
  /** Everything else goes on meanwhile. Rejects with the signal's reason when it is aborted first. */
  signSoon(data: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
}

/** A CA's private key, EC P-256 or RSA: in our memory, or somewhere else. */
export type SigningKey = KeyObject | RemoteKey;

/** The signature's bytes over `data`, which is hashed with SHA-256. */
export function signatureOf(data: Uint8Array, key: SigningKey): Uint8Array {
  return key instanceof KeyObject ? sign('sha256', data, key) : key.sign(data);
}

/** {@link signatureOf} without keeping the event loop waiting for a key that is elsewhere. */
export async function signatureSoon(
  data: Uint8Array,
  key: SigningKey,
  signal: AbortSignal,
): Promise<Uint8Array> {
  return key instanceof KeyObject ? sign('sha256', data, key) : key.signSoon(data, signal);
}

const ecdsaWithSha256 = encode(tag.sequence, encodeOid('1.2.840.10045.4.3.2'));
const sha256WithRsa = encode(tag.sequence, encodeOid('1.2.840.113549.1.1.11'), encode(tag.null));

/** AlgorithmIdentifier, DER: ecdsa-with-SHA256 (RFC 5758 3.2) or sha256WithRSAEncryption (RFC 4055 5). */
export function algorithmOf(key: SigningKey): Uint8Array {
  const keyType = key instanceof KeyObject ? key.asymmetricKeyType : key.keyType;
  return keyType === 'rsa' ? sha256WithRsa : ecdsaWithSha256;
}

/** SubjectPublicKeyInfo, DER. */
export function publicKeyOf(key: SigningKey): Uint8Array {
  return key instanceof KeyObject
    ? createPublicKey(key).export({ type: 'spki', format: 'der' })
    : key.subjectPublicKeyInfo;
}
