import { createPrivateKey, type KeyObject } from 'node:crypto';
import { unfoldPem } from './pem.ts';

/**
 * A private key's PEM as OpenSSL reads it: see {@link unfoldPem}. Still encrypted, when it was.
 *
 * @throws {PemError} when it was UTF-16.
 */
export function privateKeyPem(input: Uint8Array | string): string {
  return unfoldPem(typeof input === 'string' ? input : Buffer.from(input).toString('latin1'));
}

/**
 * A private key from PEM of any form that OpenSSL knows.
 *
 * @throws {Error} with a sentence that says what is wrong. It holds nothing of the key.
 */
export function readPrivateKey(input: Uint8Array | string, passphrase?: string): KeyObject {
  const key = privateKeyPem(input);
  // A file may have the key after its certificate.
  const label =
    /-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----/.exec(key)?.[1] ??
    /-----BEGIN ([A-Z0-9 ]*)-----/.exec(key)?.[1];
  if (label === undefined) {
    throw new Error('there is no PEM block of a private key (-----BEGIN PRIVATE KEY-----) in it');
  }
  if (!/PRIVATE KEY|PARAMETERS/.test(label)) {
    throw new Error(`it is a ${label} and no private key`);
  }
  try {
    return createPrivateKey({ key, ...(passphrase === undefined ? {} : { passphrase }) });
  } catch {
    // OpenSSL's message names its own routines, and nothing that an administrator could use.
    const isEncrypted = /ENCRYPTED/.test(key);
    throw new Error(
      isEncrypted && passphrase === undefined
        ? 'the key is encrypted and needs its passphrase'
        : isEncrypted
          ? 'the key cannot be decrypted: is the passphrase right?'
          : 'the key cannot be read: is the file whole?',
    );
  }
}
