import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { calculateJwkThumbprint, FlattenedSign, type JWK } from 'jose';
import { ProvisioningError } from '../../src/errors.ts';
import { messageOf } from '../../src/words/message-of.ts';

export interface ExternalAccount {
  readonly keyId: string;
  /** base64url. */
  readonly hmacKey: string;
}

/** Who signs: an account by its URL, or, before there is one, its key (RFC 8555 6.2). */
export type Signatory = { readonly kid: string } | { readonly jwk: JWK };

/** Signs as an account does (RFC 8555 6.2: JWS in the flattened JSON form, with nonce and URL). */
export class Signer {
  readonly jwk: JWK;
  readonly #key: KeyObject;
  readonly #algorithm: string;

  /**
   * @param pem PKCS#8 or the traditional form.
   * @throws {ProvisioningError} `ca-misconfigured`
   */
  constructor(pem: string) {
    try {
      this.#key = createPrivateKey(pem);
      this.#algorithm = algorithmOf(this.#key);
      this.jwk = createPublicKey(this.#key).export({ format: 'jwk' }) as JWK;
    } catch (error) {
      throw new ProvisioningError(
        'ca-misconfigured',
        `The account's key (account.pem) cannot be used: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }

  /** @param payload undefined: POST-as-GET (RFC 8555 6.3). */
  async sign(
    payload: object | undefined,
    header: { readonly url: string; readonly nonce: string } & Signatory,
  ): Promise<string> {
    const jws = await new FlattenedSign(bytesOf(payload))
      .setProtectedHeader({ alg: this.#algorithm, ...header })
      .sign(this.#key);
    return JSON.stringify(jws);
  }

  /** RFC 8555 7.3.4: the account's key, signed with the key that the CA gave. */
  async bind({ keyId, hmacKey }: ExternalAccount, url: string): Promise<object> {
    return new FlattenedSign(bytesOf(this.jwk))
      .setProtectedHeader({ alg: 'HS256', kid: keyId, url })
      .sign(Buffer.from(hmacKey, 'base64url'));
  }

  /** RFC 7638, base64url. */
  async thumbprint(): Promise<string> {
    return calculateJwkThumbprint(this.jwk);
  }
}

function bytesOf(payload: object | undefined): Uint8Array {
  return Buffer.from(payload === undefined ? '' : JSON.stringify(payload));
}

function algorithmOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string {
  if (asymmetricKeyType === 'rsa') return 'RS256';
  const curve = asymmetricKeyDetails?.namedCurve;
  if (curve === 'prime256v1') return 'ES256';
  if (curve === 'secp384r1') return 'ES384';
  throw new Error('it must be RSA, or EC on P-256 or P-384');
}
