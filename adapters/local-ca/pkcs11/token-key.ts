import type { Handle } from 'pkcs11js';
import type { KeyType } from '../../../src/request/requested-certificate.ts';
import type { RemoteKey } from '../signing-key.ts';
import { tokenKeyTypes } from './key-types.ts';
import type { OpenToken } from './open-token.ts';
import { SessionEndedError } from './problem.ts';
import type { Token } from './token.ts';

/** A private key in a token. It is looked up again after the token was opened anew: handles do not last. */
export class TokenKey implements RemoteKey {
  readonly keyType: KeyType;
  readonly subjectPublicKeyInfo: Uint8Array;
  readonly #token: Token;
  /** CKA_LABEL and CKA_ID. */
  readonly #label: string;
  readonly #id: Buffer;
  readonly #handles = new WeakMap<OpenToken, Handle>();

  constructor(
    token: Token,
    key: { readonly keyType: KeyType; readonly label: string; readonly id: Buffer },
    subjectPublicKeyInfo: Uint8Array,
  ) {
    this.keyType = key.keyType;
    this.subjectPublicKeyInfo = subjectPublicKeyInfo;
    this.#token = token;
    this.#label = key.label;
    this.#id = key.id;
  }

  sign(data: Uint8Array): Uint8Array {
    const { input, signature, signing } = tokenKeyTypes[this.keyType];
    const raw = this.#token.use((open) =>
      open.sign(this.#handleIn(open), signing(open.names), input(data)),
    );
    return signature(raw);
  }

  async signSoon(data: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const { input, signature, signing } = tokenKeyTypes[this.keyType];
    const raw = await this.#token.useSoon((open) =>
      open.signSoon(this.#handleIn(open), signing(open.names), input(data), signal),
    );
    return signature(raw);
  }

  #handleIn(open: OpenToken): Handle {
    const known = this.#handles.get(open);
    if (known !== undefined) return known;
    const { names } = open;
    const [found] = open.find([
      { type: names.CKA_CLASS, value: names.CKO_PRIVATE_KEY },
      { type: names.CKA_LABEL, value: this.#label },
      { type: names.CKA_ID, value: this.#id },
    ]);
    if (found === undefined) {
      throw new SessionEndedError(
        `The private key labelled "${this.#label}" is not there any more`,
      );
    }
    this.#handles.set(open, found);
    return found;
  }
}
