import { ProvisioningError } from '../errors.ts';
import { readPublicKeyInfo } from '../x509/certificate.ts';
import { DerError, readInside, readUnsigned, tag } from '../x509/der.ts';
import { encode, encodeOid, encodeUnsigned } from '../x509/encode-der.ts';
import { isSignedBy } from '../x509/signed-by.ts';
import type { KeyType } from './requested-certificate.ts';

/** Google's names for what a device can sign with (`GoogleChromeManagementVersionsV1SignatureAlgorithm`). */
export type SignatureAlgorithm =
  | 'SIGNATURE_ALGORITHM_RSA_PKCS1_V1_5_SHA256'
  | 'SIGNATURE_ALGORITHM_ECDSA_SHA256';

/** How a kind of device key signs. */
export interface KeyAlgorithm {
  readonly keyType: KeyType;
  readonly google: SignatureAlgorithm;
  /** The signature algorithm's object identifier. */
  readonly oid: string;
  /** AlgorithmIdentifier of the signature, DER. */
  readonly identifier: Uint8Array;
}

const derNull = encode(tag.null);

/** sha256WithRSAEncryption: the parameters are NULL (RFC 4055 5). */
const rsa: KeyAlgorithm = {
  keyType: 'rsa',
  google: 'SIGNATURE_ALGORITHM_RSA_PKCS1_V1_5_SHA256',
  oid: '1.2.840.113549.1.1.11',
  identifier: encode(tag.sequence, encodeOid('1.2.840.113549.1.1.11'), derNull),
};

/** ecdsa-with-SHA256: the parameters are absent (RFC 5758 3.2). */
const ec: KeyAlgorithm = {
  keyType: 'ec',
  google: 'SIGNATURE_ALGORITHM_ECDSA_SHA256',
  oid: '1.2.840.10045.4.3.2',
  identifier: encode(tag.sequence, encodeOid('1.2.840.10045.4.3.2')),
};

/** The one table of what devices sign with (provisioning API: RSA of 2048 bits and more, EC P-256). */
export const keyAlgorithms = { rsa, ec } as const satisfies Record<KeyType, KeyAlgorithm>;

/** SubjectPublicKeyInfo.algorithm of the keys that are served (RFC 3279 2.3.1, RFC 5480 2.1.1). */
const rsaEncryption = '1.2.840.113549.1.1.1';
const idEcPublicKey = '1.2.840.10045.2.1';
const namedCurveP256 = encodeOid('1.2.840.10045.3.1.7');

/** Longer than any signature that can be good: RSA with 8192 bits has 1024 bytes. */
const mostSignatureBytes = 1024;

/**
 * How the key in a SubjectPublicKeyInfo (DER) signs. Whether a point is on its curve shows when a signature is
 * verified with it: {@link verifySignature}.
 *
 * @throws {ProvisioningError} `key-unsupported` unless it is RSA of 2048 to 8192 bits with an odd exponent of 3 or
 *   more, or an uncompressed point of P-256, in canonical DER with nothing after it.
 */
export function algorithmOfKey(subjectPublicKeyInfo: Uint8Array): KeyAlgorithm {
  let problem: string | undefined;
  try {
    const { algorithm, parameters, key } = readPublicKeyInfo(subjectPublicKeyInfo);
    switch (algorithm) {
      case rsaEncryption:
        problem = rsaProblem(key, parameters);
        if (problem === undefined) return rsa;
        break;
      case idEcPublicKey:
        problem = ecProblem(key, parameters);
        if (problem === undefined) return ec;
        break;
      default:
        problem = `It is of the kind ${algorithm}; only RSA and EC P-256 are served`;
    }
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw unsupported(error.message, error);
  }
  throw unsupported(problem);
}

function unsupported(problem: string, cause?: unknown): ProvisioningError {
  return new ProvisioningError('key-unsupported', `The device’s public key: ${problem}.`, {
    cause,
  });
}

/** RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER }        (RFC 8017 A.1.1) */
function rsaProblem(key: Uint8Array, parameters: Uint8Array | undefined): string | undefined {
  if (parameters === undefined || Buffer.compare(parameters, derNull) !== 0) {
    return 'Its parameters are not NULL';
  }
  const what = 'The RSA key';
  const sequence = readInside(key, what);
  const modulus = readUnsigned(sequence.next(tag.integer));
  const exponent = readUnsigned(sequence.next(tag.integer));
  sequence.finish();
  const bits = modulus.length * 8 - (Math.clz32(modulus[0] ?? 0) - 24);
  if (bits < 2048 || bits > 8192) return `It is RSA of ${bits} bits; 2048 to 8192 are served`;
  const isOdd = (number: Uint8Array) => ((number.at(-1) ?? 0) & 1) === 1;
  const isOne = exponent.length === 1 && exponent[0] === 1;
  if (!isOdd(modulus) || !isOdd(exponent) || isOne || exponent.length > 8) {
    return 'It is RSA with an impossible modulus or exponent';
  }
  return undefined;
}

function ecProblem(key: Uint8Array, parameters: Uint8Array | undefined): string | undefined {
  if (parameters === undefined || Buffer.compare(parameters, namedCurveP256) !== 0) {
    return 'It is an EC key of another curve than P-256';
  }
  // ECPoint: 04, x, y (RFC 5480 2.2). Compressed points are legal, but no device sends them.
  if (key.length !== 65 || key[0] !== 0x04) return 'Its EC point is not an uncompressed one';
  return undefined;
}

/**
 * Verifies a device's signature and gives it back in the form a CSR wants: for EC the DER of
 * Ecdsa-Sig-Value, whether the device sent that or the bare r and s of 32 bytes each, as older ones do.
 *
 * @throws {ProvisioningError} `signature-invalid`, or `key-unsupported`.
 */
export function verifySignature(
  toBeSigned: Uint8Array,
  signature: Uint8Array,
  subjectPublicKeyInfo: Uint8Array,
): Uint8Array {
  const algorithm = algorithmOfKey(subjectPublicKeyInfo);
  if (signature.length > 0 && signature.length <= mostSignatureBytes) {
    // For RSA the encoding does not matter. DER may have 64 bytes too, so its length decides nothing.
    if (isGood(toBeSigned, signature, subjectPublicKeyInfo)) return signature;
    if (algorithm.keyType === 'ec' && signature.length === 64) {
      const value = ecdsaSigValue(signature);
      if (isGood(toBeSigned, value, subjectPublicKeyInfo)) return value;
    }
  }
  throw new ProvisioningError(
    'signature-invalid',
    `The device’s signature (${algorithm.keyType}, ${signature.length} bytes) does not verify against its own public key.`,
  );
}

function isGood(
  toBeSigned: Uint8Array,
  signature: Uint8Array,
  subjectPublicKeyInfo: Uint8Array,
): boolean {
  try {
    return isSignedBy(subjectPublicKeyInfo, toBeSigned, signature);
  } catch (error) {
    throw unsupported('It is no key', error);
  }
}

/** Ecdsa-Sig-Value ::= SEQUENCE { r INTEGER, s INTEGER }                         (RFC 3279 2.2.3) */
function ecdsaSigValue(raw: Uint8Array): Uint8Array {
  return encode(
    tag.sequence,
    encodeUnsigned(raw.subarray(0, 32)),
    encodeUnsigned(raw.subarray(32)),
  );
}
