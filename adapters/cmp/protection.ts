import { type KeyObject, sign, X509Certificate } from 'node:crypto';
import { readCertificate, subjectNameOf } from '../../src/x509/certificate.ts';
import { chainsTo } from '../../src/x509/chain.ts';
import { DerError, tag } from '../../src/x509/der.ts';
import { encode } from '../../src/x509/encode-der.ts';
import { encodeAlgorithm, isSignedBy, readAlgorithm } from './algorithms.ts';
import { isMac, newMac, passwordBasedMac, pbmac1 } from './mac.ts';
import type { Message } from './message.ts';

/** How our messages are protected. */
export type Credentials =
  | {
      readonly kind: 'mac';
      readonly mac: 'pbm' | 'pbmac1';
      /** Tells the server which secret it is. */
      readonly reference: string;
      readonly secret: string;
      readonly iterations: number;
    }
  | {
      readonly kind: 'signature';
      /** DER; ours first, its intermediates behind it. */
      readonly certificates: readonly Uint8Array[];
      readonly key: KeyObject;
    };

/** Whose signed answers are believed. */
export interface Responder {
  /** DER. */
  readonly roots: readonly Uint8Array[];
  /** A Name (DER) that is believed without being a CA or marked as one's responder. */
  readonly name: Uint8Array | undefined;
}

/** One message's protection, before its bytes are known: the header names the algorithm. */
export interface Protector {
  /** AlgorithmIdentifier, DER. */
  readonly algorithm: Uint8Array;
  readonly senderKeyId: Uint8Array | undefined;
  /** Name, DER. */
  readonly sender: Uint8Array;
  readonly extraCerts: readonly Uint8Array[];
  protect(part: Uint8Array): Promise<Uint8Array>;
}

/** A MAC that was made with another secret than ours: whoever has the wrong one. */
export class OtherSecretError extends DerError {}

const nullName = encode(tag.sequence);

export function protectorOf(credentials: Credentials): Protector {
  if (credentials.kind === 'mac') {
    const mac = newMac(credentials.mac, credentials.secret, credentials.iterations);
    return {
      algorithm: mac.algorithm,
      senderKeyId: Buffer.from(credentials.reference, 'utf8'),
      sender: nullName,
      extraCerts: [],
      protect: (part) => mac.compute(part),
    };
  }
  const { certificates, key } = credentials;
  const own = certificates[0] ?? new Uint8Array();
  const { oid, hash } = signatureOf(key);
  return {
    algorithm: encodeAlgorithm(oid, ...(oid === rsaWithSha256 ? [encode(tag.null)] : [])),
    senderKeyId: readCertificate(own).subjectKeyIdentifier,
    // Byte for byte: servers compare it.
    sender: subjectNameOf(own),
    extraCerts: certificates,
    protect: async (part) => sign(hash, part, key),
  };
}

const rsaWithSha256 = '1.2.840.113549.1.1.11';

/** How a key signs (RFC 9481 3); @throws {Error} for a key that is not supported. */
export function signatureOf(key: KeyObject): { readonly oid: string; readonly hash: string } {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === 'rsa') return { oid: rsaWithSha256, hash: 'sha256' };
  const curve = type === 'ec' ? details?.namedCurve : undefined;
  if (curve === 'prime256v1') return { oid: '1.2.840.10045.4.3.2', hash: 'sha256' };
  if (curve === 'secp384r1') return { oid: '1.2.840.10045.4.3.3', hash: 'sha384' };
  throw new Error('Keys that sign CMP messages are RSA, EC P-256 or EC P-384.');
}

/**
 * Checks the protection of an answer (RFC 9810 5.1.3). False when there is none.
 *
 * @param known certificates of signers that were sent with earlier messages; one that is believed is added.
 * @throws {DerError} when it is there and not good, or its sender is not believed.
 */
export async function isProtected(
  message: Message,
  credentials: Credentials,
  responder: Responder | undefined,
  known: Uint8Array[],
  now: number,
): Promise<boolean> {
  const { protection, protectionAlgorithm } = message;
  if (protection === undefined || protectionAlgorithm === undefined) return false;
  const algorithm = readAlgorithm(protectionAlgorithm);
  if (algorithm.oid === passwordBasedMac || algorithm.oid === pbmac1) {
    if (credentials.kind !== 'mac') {
      throw new DerError('The answer is protected by a MAC, and we share no secret with the CA');
    }
    const { secret } = credentials;
    if (await isMac(protectionAlgorithm, secret, message.protectedPart, protection)) return true;
    throw new OtherSecretError('its MAC is not good: it was made with another secret than ours');
  }
  if (responder === undefined) {
    throw new DerError('The answer is signed: name the CA’s certificates in responderRoots');
  }
  const signer = [...message.extraCerts, ...responder.roots, ...known]
    .slice(0, 30)
    .find((der) => hasSigned(der, message, protectionAlgorithm, protection));
  if (signer === undefined) {
    throw new DerError(
      'The signature of the answer fits none of the certificates that came with it or are trusted',
    );
  }
  believe(signer, message, responder, now);
  if (!known.some((der) => isSame(der, signer))) known.splice(0, known.length > 9 ? 1 : 0, signer);
  return true;
}

function hasSigned(
  der: Uint8Array,
  { protectedPart }: Message,
  algorithm: Uint8Array,
  signature: Uint8Array,
): boolean {
  try {
    const key = new X509Certificate(der).publicKey;
    return isSignedBy(readAlgorithm(algorithm), protectedPart, signature, key);
  } catch {
    return false; // A certificate or key that OpenSSL cannot use: it is not this one.
  }
}

/** id-kp-cmcCA, id-kp-cmcRA (RFC 6402 2.10): who may answer for a CA. */
const responderUsages = ['1.3.6.1.5.5.7.3.27', '1.3.6.1.5.5.7.3.28'];

/** A chain to the roots is not enough: every device's certificate has one. */
function believe(
  signer: Uint8Array,
  { sender, extraCerts }: Message,
  responder: Responder,
  now: number,
): void {
  const subject = subjectNameOf(signer);
  if (sender === undefined || !isSame(sender, subject)) {
    throw new DerError(
      'The sender of the answer is not the subject of the certificate that signed',
    );
  }
  if (responder.roots.some((der) => isSame(der, signer))) return;
  const result = chainsTo(signer, extraCerts.slice(0, 20), responder.roots, now);
  if (!result.trusted)
    throw new DerError(`The signer of the answer is not trusted: ${result.problem}`);
  const facts = readCertificate(signer);
  const isResponder =
    facts.isCa || facts.extendedKeyUsages?.some((oid) => responderUsages.includes(oid)) === true;
  const isNamed = responder.name !== undefined && isSame(responder.name, subject);
  if (!isResponder && !isNamed) {
    throw new DerError(
      'The signer of the answer is neither a CA nor marked as a CA’s responder (cmcCA, cmcRA): name it in responderName',
    );
  }
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}
