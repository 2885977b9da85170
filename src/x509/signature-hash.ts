import { contextTag, DerReader, readInside, readOid, tag } from './der.ts';

/** Signature algorithms over hashes for which somebody can make two inputs that collide (RFC 6194, RFC 6151). */
type BrokenHash = 'MD2' | 'MD4' | 'MD5' | 'SHA-1';

/** Stands for a signature over SHA-1 among what an authority may add. */
export const sha1Signature = 'sha1Signature';

const brokenHash: ReadonlyMap<string, BrokenHash> = new Map([
  ['1.2.840.113549.1.1.2', 'MD2'],
  ['1.2.840.113549.1.1.3', 'MD4'],
  ['1.2.840.113549.1.1.4', 'MD5'],
  ['1.3.14.3.2.3', 'MD5'], // the same in OIW’s numbers
  ['1.2.840.113549.1.1.5', 'SHA-1'], // sha1WithRSAEncryption
  ['1.3.14.3.2.29', 'SHA-1'], // the same in older tools of Microsoft
  ['1.2.840.10045.4.1', 'SHA-1'], // ecdsa-with-SHA1
  ['1.2.840.10040.4.3', 'SHA-1'], // id-dsa-with-sha1
  ['1.3.14.3.2.27', 'SHA-1'], // the same in OIW’s numbers
]);

const rsaPss = '1.2.840.113549.1.1.10';
const brokenDigest: ReadonlyMap<string, BrokenHash> = new Map([
  ['1.2.840.113549.2.2', 'MD2'],
  ['1.2.840.113549.2.4', 'MD4'],
  ['1.2.840.113549.2.5', 'MD5'],
  ['1.3.14.3.2.26', 'SHA-1'],
]);

/**
 * The broken hash that a signature is made with; undefined when it is none of these.
 *
 * @param algorithm AlgorithmIdentifier, DER.
 * @throws {DerError}
 */
export function brokenHashOf(algorithm: Uint8Array): BrokenHash | undefined {
  const what = 'The signature algorithm';
  const fields = readInside(algorithm, what);
  const oid = readOid(fields.next(tag.oid));
  if (oid !== rsaPss) return brokenHash.get(oid);
  // RSASSA-PSS-params ::= SEQUENCE { hashAlgorithm [0] HashAlgorithm DEFAULT sha1, … }   (RFC 4055 3.1)
  if (fields.done) return 'SHA-1';
  const hash = fields.into(what).optional(contextTag(0, 'constructed'));
  if (hash === undefined) return 'SHA-1';
  const identifier = new DerReader(hash.content, what).into(what);
  return brokenDigest.get(readOid(identifier.next(tag.oid)));
}
