import { type KeyObject, verify } from 'node:crypto';
import type { CertificateFacts } from './certificate.ts';
import { tag } from './der.ts';
import { encode, encodeOid } from './encode-der.ts';

/* Certificates' signatures of the usual algorithms, verified without an X.509 object of OpenSSL's being made. */

interface Algorithm {
  readonly keyType: 'rsa' | 'ec';
  readonly hash: 'sha256' | 'sha384' | 'sha512';
}

/** By the AlgorithmIdentifier's bytes. RSA has NULL as its parameters (RFC 4055 5), ECDSA none (RFC 5758 3.2). */
const algorithms: ReadonlyMap<string, Algorithm> = new Map([
  entry('1.2.840.113549.1.1.11', { keyType: 'rsa', hash: 'sha256' }),
  entry('1.2.840.113549.1.1.12', { keyType: 'rsa', hash: 'sha384' }),
  entry('1.2.840.113549.1.1.13', { keyType: 'rsa', hash: 'sha512' }),
  entry('1.2.840.10045.4.3.2', { keyType: 'ec', hash: 'sha256' }),
  entry('1.2.840.10045.4.3.3', { keyType: 'ec', hash: 'sha384' }),
  entry('1.2.840.10045.4.3.4', { keyType: 'ec', hash: 'sha512' }),
]);

function entry(oid: string, algorithm: Algorithm): [string, Algorithm] {
  const parameters = algorithm.keyType === 'rsa' ? [encode(tag.null)] : [];
  return [bytesAsText(encode(tag.sequence, encodeOid(oid), ...parameters)), algorithm];
}

/** Whether the key made a certificate's signature; undefined where OpenSSL is to be asked instead. */
export function hasSigned(
  key: KeyObject,
  { signatureAlgorithm, signedPart, signature }: CertificateFacts,
): boolean | undefined {
  const algorithm = algorithms.get(bytesAsText(signatureAlgorithm));
  if (algorithm === undefined || key.asymmetricKeyType !== algorithm.keyType) return undefined;
  return verify(algorithm.hash, signedPart, key, signature);
}

function bytesAsText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
