import { createHash, type KeyObject, verify } from 'node:crypto';
import { SignerInfo } from '@peculiar/asn1-cms';
import { AsnConvert } from '@peculiar/asn1-schema';
import { type DerElement, DerError, DerReader, tag } from '../../src/x509/der.ts';
import { encode } from '../../src/x509/encode-der.ts';
import { readSignedData } from '../../src/x509/pkcs7.ts';
import { digestOf } from './algorithms.ts';
import { messageDigestAttribute } from './cms.ts';
import { parsed } from './parsed.ts';

/** What somebody signed. */
export interface SignedReply {
  /** Undefined when there is none. */
  readonly content: Uint8Array | undefined;
  readonly attributes: ReadonlyMap<string, DerElement>;
  /** Whether this key signed the attributes, and they the content. */
  isSignedBy(key: KeyObject): boolean;
}

/**
 * A SignedData and its first signer; undefined when nobody signed.
 *
 * @param bytes BER or DER.
 * @throws {DerError}
 */
export function readSignedReply(bytes: Uint8Array): SignedReply | undefined {
  const { content, signers } = readSignedData(bytes);
  const [signer] = signers;
  if (signer === undefined) return undefined;
  const { digestAlgorithm, signedAttrs = [], signature } = parsed(signer, SignerInfo, 'The signer');
  const digest = digestOf(digestAlgorithm.algorithm);
  if (digest === undefined) {
    throw new DerError(`The digest algorithm ${digestAlgorithm.algorithm} is not known`);
  }
  const attributes = new Map<string, DerElement>();
  for (const { attrType, attrValues } of signedAttrs) {
    if (attributes.has(attrType)) {
      throw new DerError(`The signed attribute ${attrType} is there twice`);
    }
    const [value = new ArrayBuffer()] = attrValues;
    attributes.set(attrType, new DerReader(new Uint8Array(value), 'A signed attribute').next());
  }
  // What is signed has the tag of a SET, not the one it is sent with (RFC 5652 5.4).
  const listed = signedAttrs.map((one) => new Uint8Array(AsnConvert.serialize(one)));
  const toBeSigned = encode(tag.set, ...listed);
  const expected = createHash(digest)
    .update(content ?? new Uint8Array())
    .digest();
  const found = attributes.get(messageDigestAttribute)?.content;
  return {
    content,
    attributes,
    isSignedBy: (key) =>
      found !== undefined &&
      expected.equals(found) &&
      verify(digest, toBeSigned, key, new Uint8Array(signature.buffer)),
  };
}
