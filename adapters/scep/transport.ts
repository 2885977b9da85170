import {
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import { promisify } from 'node:util';
import type { Opaque } from '../../src/plug-in/opaque.ts';
import type { Clock } from '../../src/time/clock.ts';
import { type CertificateFacts, readCertificate } from '../../src/x509/certificate.ts';
import { contextTag, tag } from '../../src/x509/der.ts';
import { encodeName } from '../../src/x509/distinguished-name.ts';
import { encode, encodeBitString, encodeOid, encodeUnsigned } from '../../src/x509/encode-der.ts';
import { encodeExtensions, keyUsageExtension } from '../../src/x509/extensions.ts';
import { readCertificates } from '../../src/x509/pem.ts';
import { readPrivateKey } from '../../src/x509/private-key.ts';

/*
 * The device's key signs nothing but its CSR, so messages are signed with a key of ours, and replies are
 * encrypted to it. Either the administrator gives one whose certificate the CA knows (an RA), or we make one:
 * RFC 8894 2.3 has clients without a certificate use a self-signed one. That one goes into the journal with
 * the order, because the reply to a later poll is encrypted to it, whoever polls.
 */

/** What signs our messages and opens the replies. RSA. */
export interface Transport {
  readonly key: KeyObject;
  readonly certificate: CertificateFacts;
}

const generate = promisify(generateKeyPair);
const dayMs = 86_400_000;
/** Longer than any order may stay pending. */
const validForMs = 400 * dayMs;
const clockSkewMs = dayMs;

/** One key for all orders of a connection, made at the first; a certificate for each. */
export class TransportKeys {
  readonly #clock: Clock;
  #pair: Promise<KeyObject> | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param subject Name, DER: the CSR's, as RFC 8894 2.3 wishes. */
  async create(subject: Uint8Array): Promise<Transport> {
    this.#pair ??= generate('rsa', { modulusLength: 2048 }).then(({ privateKey }) => privateKey);
    const key = await this.#pair;
    return { key, certificate: selfSigned(key, subject, this.#clock.now()) };
  }
}

/** A name for a certificate of requests that have none. */
export const namelessSubject = encodeName([[{ type: '2.5.4.3', value: 'certprov' }]]);

function selfSigned(key: KeyObject, subject: Uint8Array, now: number): CertificateFacts {
  const serialNumber = randomBytes(16);
  serialNumber[0] = ((serialNumber[0] ?? 0) & 0x3f) | 0x40;
  const algorithm = encode(
    tag.sequence,
    encodeOid('1.2.840.113549.1.1.11'), // sha256WithRSAEncryption (RFC 4055 5)
    encode(tag.null),
  );
  const extensions = encodeExtensions([keyUsageExtension(['digitalSignature', 'keyEncipherment'])]);
  const toBeSigned = encode(
    tag.sequence,
    encode(contextTag(0, 'constructed'), encodeUnsigned(Uint8Array.of(2))),
    encodeUnsigned(serialNumber),
    algorithm,
    subject,
    encode(tag.sequence, encodeTime(now - clockSkewMs), encodeTime(now + validForMs)),
    subject,
    createPublicKey(key).export({ type: 'spki', format: 'der' }),
    encode(contextTag(3, 'constructed'), extensions),
  );
  const signature = sign('sha256', toBeSigned, key);
  return readCertificate(encode(tag.sequence, toBeSigned, algorithm, encodeBitString(signature)));
}

/** UTCTime until 2049, then GeneralizedTime (RFC 5280 4.1.2.5). */
function encodeTime(at: number): Uint8Array {
  const digits = `${new Date(at).toISOString().slice(0, 19).replace(/\D/g, '')}Z`;
  return digits < '2050'
    ? encode(tag.utcTime, Buffer.from(digits.slice(2)))
    : encode(tag.generalizedTime, Buffer.from(digits));
}

/** @throws {Error} when they are not an RSA key and its certificate. The message has nothing of the key. */
export function configuredTransport(certificateFile: Uint8Array, keyPem: string): Transport {
  const [der] = readCertificates(certificateFile);
  if (der === undefined) throw new Error('There is no certificate in ra.certificateFile.');
  const key = privateKeyIn(keyPem);
  const certificate = new X509Certificate(der);
  if (key.asymmetricKeyType !== 'rsa') throw new Error('The key in ra.key is not an RSA key.');
  if (!certificate.checkPrivateKey(key)) {
    throw new Error('The key in ra.key does not belong to the certificate in ra.certificateFile.');
  }
  return { key, certificate: readCertificate(der) };
}

function privateKeyIn(pem: string): KeyObject {
  try {
    return readPrivateKey(pem);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`ra.key is not a private key (PEM, not encrypted): ${reason}.`, {
      cause: error,
    });
  }
}

/** For the journal. Secret. */
export function storeTransport({ key, certificate }: Transport): Opaque {
  return {
    key: key.export({ type: 'pkcs8', format: 'der' }).toString('base64'),
    certificate: Buffer.from(certificate.der).toString('base64'),
  };
}

/** Undefined: this was not written by {@link storeTransport}. */
export function restoreTransport(stored: Opaque | undefined): Transport | undefined {
  if (typeof stored !== 'object' || stored === null || !('key' in stored)) return undefined;
  const { key, certificate } = stored;
  if (typeof key !== 'string' || typeof certificate !== 'string') return undefined;
  return {
    key: createPrivateKey({ key: Buffer.from(key, 'base64'), format: 'der', type: 'pkcs8' }),
    certificate: readCertificate(new Uint8Array(Buffer.from(certificate, 'base64'))),
  };
}
