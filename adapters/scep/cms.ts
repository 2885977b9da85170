import {
  constants,
  createCipheriv,
  createHash,
  type KeyObject,
  publicEncrypt,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import type { CertificateFacts } from '../../src/x509/certificate.ts';
import { contextTag, tag } from '../../src/x509/der.ts';
import { encode, encodeOid, encodeSetOf } from '../../src/x509/encode-der.ts';
import { signedData } from '../../src/x509/pkcs7.ts';
import { type Cipher, type DigestName, oidOfDigest } from './algorithms.ts';

/*
 * As much of CMS (RFC 5652) as SCEP sends. Node has no CMS, WebCrypto neither RSAES-PKCS1-v1_5 nor DES, and
 * @peculiar/asn1-cms would write a certificate anew, not as its CA wrote it.
 *
 * ContentInfo ::= SEQUENCE { contentType OBJECT IDENTIFIER, content [0] EXPLICIT ANY }
 */

const data = '1.2.840.113549.1.7.1';
export const envelopedData = '1.2.840.113549.1.7.3';
const contentTypeAttribute = '1.2.840.113549.1.9.3';
export const messageDigestAttribute = '1.2.840.113549.1.9.4';
export const rsaEncryption = '1.2.840.113549.1.1.1';

const explicit0 = contextTag(0, 'constructed');
const rsaAlgorithm = encode(tag.sequence, encodeOid(rsaEncryption), encode(tag.null));

interface Attribute {
  readonly type: string;
  /** DER. */
  readonly value: Uint8Array;
}

/** A SignedData with one signer, whose certificate goes along. DER. */
export function signData(
  content: Uint8Array,
  attributes: readonly Attribute[],
  signer: { readonly key: KeyObject; readonly certificate: CertificateFacts },
  digest: DigestName,
): Uint8Array {
  const digestAlgorithm = encode(tag.sequence, encodeOid(oidOfDigest(digest)), encode(tag.null));
  const hash = createHash(digest).update(content).digest();
  const all = [
    ...attributes,
    { type: contentTypeAttribute, value: encodeOid(data) },
    { type: messageDigestAttribute, value: encode(tag.octetString, hash) },
  ].map(({ type, value }) => encode(tag.sequence, encodeOid(type), encode(tag.set, value)));
  const signerInfo = encode(
    tag.sequence,
    version(1),
    issuerAndSerialNumber(signer.certificate),
    digestAlgorithm,
    encodeSetOf(all, explicit0),
    rsaAlgorithm,
    encode(tag.octetString, sign(digest, encodeSetOf(all), signer.key)),
  );
  return contentInfo(
    signedData,
    version(1),
    encode(tag.set, digestAlgorithm),
    encode(tag.sequence, encodeOid(data), encode(explicit0, encode(tag.octetString, content))),
    encode(explicit0, signer.certificate.der),
    encode(tag.set, signerInfo),
  );
}

/**
 * EnvelopedData for one recipient, DER.
 *
 * EnvelopedData ::= SEQUENCE { version, recipientInfos SET, encryptedContentInfo SEQUENCE {
 *   contentType, contentEncryptionAlgorithm, encryptedContent [0] IMPLICIT OCTET STRING } }  (RFC 5652 6.1)
 */
export function envelope(
  content: Uint8Array,
  recipient: CertificateFacts,
  cipher: Cipher,
): Uint8Array {
  const key = randomBytes(cipher.keyBytes);
  const iv = randomBytes(cipher.ivBytes);
  const encryption = createCipheriv(cipher.name, key, iv);
  const encrypted = Buffer.concat([encryption.update(content), encryption.final()]);
  const { publicKey } = new X509Certificate(recipient.der);
  const padding = constants.RSA_PKCS1_PADDING;
  const recipientInfo = encode(
    tag.sequence,
    version(0),
    issuerAndSerialNumber(recipient),
    rsaAlgorithm,
    encode(tag.octetString, publicEncrypt({ key: publicKey, padding }, key)),
  );
  return contentInfo(
    envelopedData,
    version(0),
    encode(tag.set, recipientInfo),
    encode(
      tag.sequence,
      encodeOid(data),
      encode(tag.sequence, encodeOid(cipher.oid), encode(tag.octetString, iv)),
      encode(contextTag(0, 'primitive'), encrypted),
    ),
  );
}

/** IssuerAndSerialNumber ::= SEQUENCE { issuer Name, serialNumber INTEGER }        (RFC 5652 10.2.4) */
function issuerAndSerialNumber({ issuer, serialNumberBytes }: CertificateFacts): Uint8Array {
  return encode(tag.sequence, issuer, encode(tag.integer, serialNumberBytes));
}

function contentInfo(type: string, ...fields: readonly Uint8Array[]): Uint8Array {
  return encode(tag.sequence, encodeOid(type), encode(explicit0, encode(tag.sequence, ...fields)));
}

function version(number: number): Uint8Array {
  return encode(tag.integer, Uint8Array.of(number));
}
