import { randomBytes, verify, type X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Template } from 'pkcs11js';
import { z } from 'zod';
import { ProvisioningError } from '../../../src/errors.ts';
import { explained, writeDurably } from '../durable-file.ts';
import { commonName, type HierarchyOptions } from '../hierarchy.ts';
import type { CaRole, KeyStore } from '../key-store.ts';
import { tokenKeyTypes } from './key-types.ts';
import type { Pkcs11 } from './library.ts';
import type { OpenToken } from './open-token.ts';
import type { Token } from './token.ts';
import { TokenKey } from './token-key.ts';

/** The CKA_ID, in hexadecimal, of the two keys that are made for this directory; written before they are made. */
const idsFile = 'token-keys.json';
const keyIds = z.strictObject({ root: z.hex().length(32), issuing: z.hex().length(32) });

/** What a key signs to show that it is the certificate's; nobody can take it for a certificate. */
const challenge = Buffer.from('certprov looks for the key of its CA');

/**
 * Keys in a token, made there and never to leave it, labelled with their CAs' common names.
 *
 * While the CA is made, a key is ours when it has the id that the directory wrote down before: two directories whose
 * CAs have one name never share a key. Afterwards it is ours when it is the certificate's, so that keys may also have
 * been brought into the token by hand.
 */
export class TokenKeys implements KeyStore {
  readonly mayBeAway = true;
  readonly files = [];
  readonly #token: Token;
  readonly #directory: string;
  readonly #options: HierarchyOptions;

  constructor(token: Token, directory: string, options: HierarchyOptions) {
    this.#token = token;
    this.#directory = directory;
    this.#options = options;
  }

  made(role: CaRole): TokenKey | undefined {
    const { keyType, name } = this.#options;
    const label = commonName(name, role);
    const id = this.#readId(role);
    return this.#token.use((open) => {
      if (id === undefined) {
        if (open.find(this.#half('private', label, open.names)).length > 0)
          throw this.#taken(label);
        return undefined;
      }
      const named = (half: 'private' | 'public') =>
        open.find([...this.#half(half, label, open.names), { type: open.names.CKA_ID, value: id }]);
      const [publicKey] = named('public');
      const isThere = named('private').length > 0;
      if (publicKey === undefined && isThere) throw this.#halved(label);
      if (publicKey === undefined || !isThere) return undefined;
      return this.#key(open, publicKey, { keyType, label, id });
    });
  }

  make(role: CaRole): TokenKey {
    const { keyType, name } = this.#options;
    const label = commonName(name, role);
    const id = this.#readId(role) ?? this.#chooseIds()[role];
    return this.#token.useOnce((open) => {
      const { names } = open;
      const { generation, publicAttributes, privateAttributes } = tokenKeyTypes[keyType];
      const both: Template = [
        { type: names.CKA_TOKEN, value: true },
        { type: names.CKA_LABEL, value: label },
        { type: names.CKA_ID, value: id },
      ];
      const publicKey = open.makeKeyPair(
        generation(names),
        [...both, { type: names.CKA_VERIFY, value: true }, ...publicAttributes(names)],
        [...both, ...onlySigns(names), ...privateAttributes(names)],
      );
      return this.#key(open, publicKey, { keyType, label, id });
    });
  }

  issuingKey(certificate: X509Certificate): TokenKey {
    const { keyType, name } = this.#options;
    const label = commonName(name, 'issuing');
    const subjectPublicKeyInfo = certificate.publicKey.export({ type: 'spki', format: 'der' });
    const ids = this.#token.use((open) =>
      open
        .find(this.#half('private', label, open.names))
        .map((handle) => open.attribute(handle, open.names.CKA_ID)),
    );
    for (const id of ids) {
      const key = new TokenKey(this.#token, { keyType, label, id }, subjectPublicKeyInfo);
      if (verify('sha256', challenge, certificate.publicKey, key.sign(challenge))) return key;
    }
    const has =
      ids.length === 0
        ? `has no private key labelled "${label}"`
        : `has a private key labelled "${label}", but of another CA`;
    throw new ProvisioningError(
      'ca-misconfigured',
      `${this.#token.description} ${has}: the key of ${join(this.#directory, 'issuing.pem')} is missing. Restore the token from its backup, or correct keys.tokenLabel, keys.slot or name.`,
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#token[Symbol.asyncDispose]();
  }

  #key(open: OpenToken, publicKey: Buffer, key: ConstructorParameters<typeof TokenKey>[1]) {
    const subjectPublicKeyInfo = tokenKeyTypes[key.keyType].publicKey(open, publicKey);
    return new TokenKey(this.#token, key, subjectPublicKeyInfo);
  }

  /** Finds one half of the key pairs with this label. */
  #half(half: 'private' | 'public', label: string, names: Pkcs11): Template {
    const keyClass = half === 'private' ? names.CKO_PRIVATE_KEY : names.CKO_PUBLIC_KEY;
    return [
      { type: names.CKA_CLASS, value: keyClass },
      { type: names.CKA_KEY_TYPE, value: tokenKeyTypes[this.#options.keyType].keyType(names) },
      { type: names.CKA_LABEL, value: label },
    ];
  }

  #readId(role: CaRole): Buffer | undefined {
    const file = join(this.#directory, idsFile);
    if (!existsSync(file)) return undefined;
    const ids = explained(file, () => keyIds.parse(JSON.parse(readFileSync(file, 'utf8'))));
    return Buffer.from(ids[role], 'hex');
  }

  #chooseIds(): Record<CaRole, Buffer> {
    const ids = { root: randomBytes(16), issuing: randomBytes(16) };
    const text = { root: ids.root.toString('hex'), issuing: ids.issuing.toString('hex') };
    writeDurably(join(this.#directory, idsFile), `${JSON.stringify(text)}\n`, 0o600);
    return ids;
  }

  #halved(label: string): ProvisioningError {
    return new ProvisioningError(
      'ca-misconfigured',
      `${this.#token.description} has the private key labelled "${label}", but not its public half, and there is no certificate of it yet. Remove that key with the token's own tool: nothing was signed with it; then it is made anew.`,
    );
  }

  #taken(label: string): ProvisioningError {
    return new ProvisioningError(
      'ca-misconfigured',
      `${this.#token.description} has a key labelled "${label}" already, but ${this.#directory} has no CA yet. Restore the directory of that key's CA from its backup, or choose another name for a new CA.`,
    );
  }
}

/** The private half never leaves the token, not even encrypted. */
function onlySigns(names: Pkcs11): Template {
  return [
    { type: names.CKA_PRIVATE, value: true },
    { type: names.CKA_SENSITIVE, value: true },
    { type: names.CKA_EXTRACTABLE, value: false },
    { type: names.CKA_SIGN, value: true },
  ];
}
