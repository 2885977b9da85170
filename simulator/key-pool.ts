import { generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';

export type KeyKind = 'rsa' | 'ec';

/** A device's key. Many devices may share one; see {@link KeyPool}. */
export interface DeviceKey {
  readonly kind: KeyKind;
  readonly privateKey: KeyObject;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Buffer;
  /** The same in base64, as Google's JSON carries it. */
  readonly spkiBase64: string;
}

const generate = promisify(generateKeyPair);

/**
 * Real RSA-2048 and P-256 keys. Making an RSA key costs about a tenth of a second, so only the first
 * `most[kind]` devices get a key of their own; later ones reuse them in turn.
 */
export class KeyPool {
  readonly #most: Readonly<Record<KeyKind, number>>;
  readonly #keys: Record<KeyKind, Promise<DeviceKey>[]> = { rsa: [], ec: [] };
  readonly #taken: Record<KeyKind, number> = { rsa: 0, ec: 0 };

  constructor(most: Readonly<Record<KeyKind, number>>) {
    this.#most = most;
  }

  /** The key of the next device. */
  take(kind: KeyKind): Promise<DeviceKey> {
    const keys = this.#keys[kind];
    const turn = this.#taken[kind] % Math.max(1, this.#most[kind]);
    this.#taken[kind] += 1;
    const known = keys[turn];
    if (known !== undefined) return known;
    const made = makeKey(kind);
    keys[turn] = made;
    return made;
  }
}

/** A fresh key that is in no pool. */
export async function makeKey(kind: KeyKind): Promise<DeviceKey> {
  const { privateKey, publicKey } =
    kind === 'rsa'
      ? await generate('rsa', { modulusLength: 2048 })
      : await generate('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return { kind, privateKey, spki, spkiBase64: spki.toString('base64') };
}
