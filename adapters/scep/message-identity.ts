import { createPrivateKey, generateKeyPair, type KeyObject, X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';
import type { Opaque } from '../../src/plug-in/opaque.ts';
import type { Clock } from '../../src/time/clock.ts';
import { messageOf } from '../../src/words/message-of.ts';
import { type CertificateFacts, readCertificate } from '../../src/x509/certificate.ts';
import { encodeName } from '../../src/x509/distinguished-name.ts';
import { readCertificates } from '../../src/x509/pem.ts';
import { readPrivateKey } from '../../src/x509/private-key.ts';

/*
 * The device's key signs nothing but its CSR, so messages are signed with a key of ours, and replies are
 * encrypted to it. Either the administrator gives one whose certificate the CA knows (an RA), or we make one:
 * RFC 8894 2.3 has clients without a certificate use a self-signed one. That one goes into the journal with
 * the order, because the reply to a later poll is encrypted to it, whoever polls.
 */

/** What signs our messages and opens the replies. RSA. */
export interface MessageIdentity {
  readonly key: KeyObject;
  readonly certificate: CertificateFacts;
}

const generate = promisify(generateKeyPair);

/** One key for all orders of a connection, made at the first; a certificate for each. */
export class IdentityKeys {
  readonly #clock: Clock;
  #made: ReturnType<typeof newKey> | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param subject Name, DER: the CSR's, as RFC 8894 2.3 wishes. */
  async create(subject: Uint8Array): Promise<MessageIdentity> {
    this.#made ??= newKey();
    const { key, certify } = await this.#made;
    const certificate = readCertificate(await certify(subject, this.#clock.now()));
    return { key, certificate };
  }
}

async function newKey() {
  const { privateKey: key } = await generate('rsa', { modulusLength: 2048 });
  const { certifierOf } = await import('./self-signed.ts');
  return { key, certify: await certifierOf(key) };
}

/** A name for a certificate of requests that have none. */
export const namelessSubject = encodeName([[{ type: '2.5.4.3', value: 'certprov' }]]);

/** @throws {Error} when they are not an RSA key and its certificate. The message has nothing of the key. */
export function configuredIdentity(certificateFile: Uint8Array, keyPem: string): MessageIdentity {
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
    const reason = messageOf(error);
    throw new Error(`ra.key is not a private key (PEM, not encrypted): ${reason}.`, {
      cause: error,
    });
  }
}

/** For the journal. Secret. */
export function storeIdentity({ key, certificate }: MessageIdentity): Opaque {
  return {
    key: key.export({ type: 'pkcs8', format: 'der' }).toString('base64'),
    certificate: Buffer.from(certificate.der).toString('base64'),
  };
}

/** Undefined: this was not written by {@link storeIdentity}. */
export function restoreIdentity(stored: Opaque | undefined): MessageIdentity | undefined {
  if (typeof stored !== 'object' || stored === null || !('key' in stored)) return undefined;
  const { key, certificate } = stored;
  if (typeof key !== 'string' || typeof certificate !== 'string') return undefined;
  return {
    key: createPrivateKey({ key: Buffer.from(key, 'base64'), format: 'der', type: 'pkcs8' }),
    certificate: readCertificate(new Uint8Array(Buffer.from(certificate, 'base64'))),
  };
}
