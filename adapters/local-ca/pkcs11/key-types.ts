import { createHash, createPublicKey, type JsonWebKey } from 'node:crypto';
import type { Handle, Template } from 'pkcs11js';
import type { KeyType } from '../../../src/request/requested-certificate.ts';
import { readSingle, tag } from '../../../src/x509/der.ts';
import { encode, encodeOid, encodeUnsigned } from '../../../src/x509/encode-der.ts';
import { rsaBits } from '../key-files.ts';
import type { Pkcs11 } from './library.ts';
import type { OpenToken } from './open-token.ts';

/** How PKCS#11 speaks of one type of key (PKCS#11 mechanisms 2.40: 2.1.13 RSA with SHA-256, 2.3.6 ECDSA). */
export interface TokenKeyType {
  keyType(names: Pkcs11): number;
  generation(names: Pkcs11): number;
  /** What the public half is to be. */
  publicAttributes(names: Pkcs11): Template;
  /** What the private half shall not be used for, where tokens allow it unasked. */
  privateAttributes(names: Pkcs11): Template;
  signing(names: Pkcs11): number;
  /** What the token is given of the data that is to be signed. */
  input(data: Uint8Array): Uint8Array;
  /** The signature as certificates have it, from the token's own. */
  signature(raw: Uint8Array): Uint8Array;
  /** SubjectPublicKeyInfo, DER, of a public key object. */
  publicKey(open: OpenToken, object: Handle): Uint8Array;
}

const p256 = encodeOid('1.2.840.10045.3.1.7');

/** P-256. The token signs a digest; its signature is r and s, 32 octets each. */
const ec: TokenKeyType = {
  keyType: ({ CKK_EC }) => CKK_EC,
  generation: ({ CKM_EC_KEY_PAIR_GEN }) => CKM_EC_KEY_PAIR_GEN,
  publicAttributes: ({ CKA_EC_PARAMS }) => [{ type: CKA_EC_PARAMS, value: Buffer.from(p256) }],
  privateAttributes: () => [],
  signing: ({ CKM_ECDSA }) => CKM_ECDSA,
  input: (data) => createHash('sha256').update(data).digest(),
  signature(raw) {
    const half = raw.length / 2;
    const [r, s] = [raw.subarray(0, half), raw.subarray(half)];
    return encode(tag.sequence, encodeUnsigned(r), encodeUnsigned(s));
  },
  publicKey(open, object) {
    const value = open.attribute(object, open.names.CKA_EC_POINT);
    // An OCTET STRING with the uncompressed point, which some tokens leave bare.
    const isBare = value.length === 65;
    const point = isBare ? value : readSingle(value, tag.octetString, 'The EC point').content;
    const x = base64Url(point.subarray(1, 33));
    const y = base64Url(point.subarray(33));
    return encoded({ kty: 'EC', crv: 'P-256', x, y });
  },
};

const rsa: TokenKeyType = {
  keyType: ({ CKK_RSA }) => CKK_RSA,
  generation: ({ CKM_RSA_PKCS_KEY_PAIR_GEN }) => CKM_RSA_PKCS_KEY_PAIR_GEN,
  publicAttributes: ({ CKA_MODULUS_BITS, CKA_PUBLIC_EXPONENT }) => [
    { type: CKA_MODULUS_BITS, value: rsaBits },
    { type: CKA_PUBLIC_EXPONENT, value: Buffer.from([1, 0, 1]) },
  ],
  privateAttributes: ({ CKA_DECRYPT, CKA_UNWRAP }) => [
    { type: CKA_DECRYPT, value: false },
    { type: CKA_UNWRAP, value: false },
  ],
  signing: ({ CKM_SHA256_RSA_PKCS }) => CKM_SHA256_RSA_PKCS,
  input: (data) => data,
  signature: (raw) => raw,
  publicKey(open, object) {
    const n = base64Url(open.attribute(object, open.names.CKA_MODULUS));
    const e = base64Url(open.attribute(object, open.names.CKA_PUBLIC_EXPONENT));
    return encoded({ kty: 'RSA', n, e });
  },
};

export const tokenKeyTypes: Readonly<Record<KeyType, TokenKeyType>> = { ec, rsa };

function base64Url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}

function encoded(key: JsonWebKey): Uint8Array {
  return createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'der' });
}
