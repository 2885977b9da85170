import { generateKeyPairSync, sign } from 'node:crypto';
import type { Signing } from '../devices.ts';
import type { DeviceKey } from '../key-pool.ts';

/*
 * The devices' keys: they share a few, and sign the same bytes once per run, so that a hundred thousand histories
 * cost no cryptography.
 */

type Kind = DeviceKey['kind'];

const keysOf: Record<Kind, DeviceKey[]> = { ec: [], rsa: [] };
const keysInPool = { ec: 4, rsa: 2 } as const;

function makeKey(kind: Kind): DeviceKey {
  const { privateKey, publicKey } =
    kind === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return { kind, privateKey, spki, spkiBase64: spki.toString('base64') };
}

export function keyOf(kind: Kind, index: number): DeviceKey {
  const turn = index % keysInPool[kind];
  const known = keysOf[kind][turn];
  if (known !== undefined) return known;
  const made = makeKey(kind);
  keysOf[kind][turn] = made;
  return made;
}

const signatures = new Map<string, Buffer>();
const mostSignatures = 20_000;

export const signing: Signing = {
  sign(data, key, dsaEncoding) {
    const name = `${dsaEncoding} ${key.spkiBase64} ${data.toString('base64')}`;
    const known = signatures.get(name);
    if (known !== undefined) return Promise.resolve(known);
    const signature = sign('sha256', data, { key: key.privateKey, dsaEncoding });
    if (signatures.size < mostSignatures) signatures.set(name, signature);
    return Promise.resolve(signature);
  },
  // The last key of the pool plus one: no device has it.
  strangersKey: (kind) => Promise.resolve(strangersKeys[kind]()),
};

const strangersKeys = { ec: once(() => makeKey('ec')), rsa: once(() => makeKey('rsa')) };

function once<Value>(make: () => Value): () => Value {
  let made: Value | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
