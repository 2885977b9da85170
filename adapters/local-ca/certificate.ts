import { hash } from 'node:crypto';
import type { RequestedCertificate } from '../../src/request/requested-certificate.ts';
import { contextTag, tag } from '../../src/x509/der.ts';
import { encode, encodeBitString, encodeUnsigned } from '../../src/x509/encode-der.ts';
import {
  type Extension,
  encodeExtensions,
  extendedKeyUsageExtension,
  extensionOid,
  keyUsageExtension,
  subjectAltNameExtension,
} from '../../src/x509/extensions.ts';
import { sidExtension } from '../../src/x509/microsoft-extensions.ts';
import { algorithmOf, type SigningKey, signatureOf, signatureSoon } from './signing-key.ts';

/** Who signs: a CA of this machine. */
export interface Signer {
  /** Name, DER. */
  readonly name: Uint8Array;
  readonly keyIdentifier: Uint8Array;
  readonly key: SigningKey;
}

/** What goes into a certificate; the rest comes from the signer (RFC 5280 4.1.2). */
export interface CertificateContent {
  /** At most 20 octets, the first below 0x80 and not 0. */
  readonly serialNumber: Uint8Array;
  /** Name, DER. */
  readonly subject: Uint8Array;
  /** DER, taken over byte for byte. */
  readonly subjectPublicKeyInfo: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Besides the key identifiers. */
  readonly extensions: readonly Extension[];
}

/** A certificate, DER. */
export function signCertificate(content: CertificateContent, signer: Signer): Uint8Array {
  return signed(toBeSigned(content, signer), signer.key);
}

/** {@link signCertificate} without keeping the event loop waiting for a key that is elsewhere. */
export async function signCertificateSoon(
  content: CertificateContent,
  signer: Signer,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const certificate = toBeSigned(content, signer);
  const signature = await signatureSoon(certificate, signer.key, signal);
  return withSignature(certificate, signer.key, signature);
}

/**
 * TBSCertificate ::= SEQUENCE { version [0], serialNumber, signature, issuer, validity, subject,
 *   subjectPublicKeyInfo, extensions [3] }                                     (RFC 5280 4.1)
 */
function toBeSigned(content: CertificateContent, signer: Signer): Uint8Array {
  const extensions = encodeExtensions([
    ...content.extensions,
    subjectKeyIdentifier(content.subjectPublicKeyInfo),
    authorityKeyIdentifier(signer),
  ]);
  return encode(
    tag.sequence,
    version3,
    encodeUnsigned(content.serialNumber),
    algorithmOf(signer.key),
    signer.name,
    encode(tag.sequence, encodeTime(content.notBefore), encodeTime(content.notAfter)),
    content.subject,
    content.subjectPublicKeyInfo,
    encode(contextTag(3, 'constructed'), extensions),
  );
}

/** SEQUENCE { toBeSigned, signatureAlgorithm, signature }: certificates and CRLs alike. DER. */
export function signed(content: Uint8Array, key: SigningKey): Uint8Array {
  return withSignature(content, key, signatureOf(content, key));
}

function withSignature(content: Uint8Array, key: SigningKey, signature: Uint8Array): Uint8Array {
  return encode(tag.sequence, content, algorithmOf(key), encodeBitString(signature));
}

/** The hash of the SubjectPublicKeyInfo (RFC 7093 2, method 4). */
export function keyIdentifier(subjectPublicKeyInfo: Uint8Array): Uint8Array {
  return hash('sha256', subjectPublicKeyInfo, 'buffer');
}

function subjectKeyIdentifier(subjectPublicKeyInfo: Uint8Array): Extension {
  const value = encode(tag.octetString, keyIdentifier(subjectPublicKeyInfo));
  return { type: '2.5.29.14', critical: false, value };
}

export function authorityKeyIdentifier(signer: Signer): Extension {
  const identifier = encode(contextTag(0, 'primitive'), signer.keyIdentifier);
  return { type: '2.5.29.35', critical: false, value: encode(tag.sequence, identifier) };
}

/** For a CA: basicConstraints and key usage (RFC 5280 4.2.1.9, 4.2.1.3). */
export function authorityExtensions(pathLength: number): Extension[] {
  const isCa = encode(tag.boolean, Uint8Array.of(0xff));
  const mostBelow = encodeUnsigned(Uint8Array.of(pathLength));
  const constraints = encode(tag.sequence, isCa, mostBelow);
  return [
    { type: extensionOid.basicConstraints, critical: true, value: constraints },
    keyUsageExtension(['keyCertSign', 'cRLSign']),
  ];
}

/** For an end entity: what the profile asks for. */
export function endEntityExtensions(wanted: RequestedCertificate): Extension[] {
  const extensions: Extension[] = [noCa];
  if (wanted.keyUsages.length > 0) extensions.push(keyUsageExtension(wanted.keyUsages));
  if (wanted.extendedKeyUsages.length > 0) {
    extensions.push(extendedKeyUsageExtension(wanted.extendedKeyUsages));
  }
  if (wanted.subjectAltNames.length > 0) {
    // Critical where it is the only name (RFC 5280 4.2.1.6).
    const critical = wanted.subject.length === 0;
    extensions.push(subjectAltNameExtension(wanted.subjectAltNames, critical));
  }
  if (wanted.securityIdentifier !== undefined) {
    extensions.push(sidExtension(wanted.securityIdentifier));
  }
  return extensions;
}

const noCa: Extension = {
  type: extensionOid.basicConstraints,
  critical: true,
  value: encode(tag.sequence),
};

const version3 = encode(contextTag(0, 'constructed'), encodeUnsigned(Uint8Array.of(2)));

/** UTCTime until 2049, GeneralizedTime after (RFC 5280 4.1.2.5). `at` is milliseconds since the epoch. */
export function encodeTime(at: number): Uint8Array {
  const date = new Date(at);
  const digits = date.toISOString().replace(/\.\d+|[-:T]/g, '');
  return date.getUTCFullYear() < 2050
    ? encode(tag.utcTime, Buffer.from(digits.slice(2)))
    : encode(tag.generalizedTime, Buffer.from(digits));
}
