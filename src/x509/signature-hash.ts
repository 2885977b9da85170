import { contextTag, DerReader, readOid, readSingle, tag } from './der.ts';

/** Signature algorithms over hashes for which somebody can make two inputs that collide (RFC 6194, RFC 6151). */
const brokenHash: ReadonlyMap<string, 'MD2' | 'MD5' | 'SHA-1'> = new Map([
  ['1.2.840.113549.1.1.2', 'MD2'],
  ['1.2.840.113549.1.1.4', 'MD5'],
  ['1.2.840.113549.1.1.5', 'SHA-1'], // sha1WithRSAEncryption
  ['1.3.14.3.2.29', 'SHA-1'], // the same in older tools of Microsoft
  ['1.2.840.10045.4.1', 'SHA-1'], // ecdsa-with-SHA1
  ['1.2.840.10040.4.3', 'SHA-1'], // id-dsa-with-sha1
]);

const rsaPss = '1.2.840.113549.1.1.10';
const sha1 = '1.3.14.3.2.26';

/**
 * The broken hash that a signature is made with; undefined when it is none of these.
 *
 * @param algorithm AlgorithmIdentifier, DER.
 * @throws {DerError}
 */
export function brokenHashOf(algorithm: Uint8Array): 'MD2' | 'MD5' | 'SHA-1' | undefined {
  const what = 'The signature algorithm';
  const fields = new DerReader(readSingle(algorithm, tag.sequence, what).content, what);
  const oid = readOid(fields.next(tag.oid));
  if (oid !== rsaPss) return brokenHash.get(oid);
  // RSASSA-PSS-params ::= SEQUENCE { hashAlgorithm [0] HashAlgorithm DEFAULT sha1, … }   (RFC 4055 3.1)
  if (fields.done) return 'SHA-1';
  const hash = fields.into(what).optional(contextTag(0, 'constructed'));
  if (hash === undefined) return 'SHA-1';
  const identifier = new DerReader(hash.content, what).into(what);
  return readOid(identifier.next(tag.oid)) === sha1 ? 'SHA-1' : undefined;
}
