import { generateKeyPairSync, type KeyObject, type X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ProvisioningError } from '../../src/errors.ts';
import type { KeyType } from '../../src/request/requested-certificate.ts';
import { readPrivateKey } from '../../src/x509/private-key.ts';
import { explained, writeDurably } from './durable-file.ts';
import type { CaRole, KeyStore } from './key-store.ts';

export const rsaBits = 3072;

/** Keys in the CA's directory, PKCS#8 PEM, readable for the service alone. */
export class KeyFiles implements KeyStore {
  readonly mayBeAway = false;
  readonly #directory: string;
  readonly #keyType: KeyType;

  constructor(directory: string, keyType: KeyType) {
    this.#directory = directory;
    this.#keyType = keyType;
  }

  get files(): readonly string[] {
    return [this.#file('issuing')];
  }

  made(role: CaRole): KeyObject | undefined {
    const file = this.#file(role);
    return existsSync(file) ? readKey(file) : undefined;
  }

  make(role: CaRole): KeyObject {
    const { privateKey } =
      this.#keyType === 'rsa'
        ? generateKeyPairSync('rsa', { modulusLength: rsaBits })
        : generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    writeDurably(this.#file(role), pem, 0o600);
    return privateKey;
  }

  /** The root's key is not needed any more: it may be kept elsewhere. */
  issuingKey(certificate: X509Certificate): KeyObject {
    const key = readKey(this.#file('issuing'));
    if (certificate.checkPrivateKey(key)) return key;
    throw new ProvisioningError(
      'ca-misconfigured',
      `${this.#file('issuing')} is not the key of issuing.pem. Restore both from one backup.`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing is held open.
  }

  #file(role: CaRole): string {
    return join(this.#directory, `${role}-key.pem`);
  }
}

function readKey(file: string): KeyObject {
  return explained(file, () => readPrivateKey(readFileSync(file)));
}
