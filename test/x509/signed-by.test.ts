import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { isSignedBy } from '../../src/x509/signed-by.ts';

const pairs = [
  ['RSA', generateKeyPairSync('rsa', { modulusLength: 2048 })],
  ['EC', generateKeyPairSync('ec', { namedCurve: 'P-256' })],
] as const;
const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const spkiOf = ({ publicKey }: (typeof pairs)[number][1]) =>
  publicKey.export({ type: 'spki', format: 'der' });
const data = Buffer.from('what the device was asked to sign');

describe.each(pairs)('isSignedBy, %s', (_name, pair) => {
  const spki = spkiOf(pair);
  const signature = sign('sha256', data, pair.privateKey);

  it('finds a good signature good, however often it is asked', () => {
    for (let times = 0; times < 3; times += 1) {
      expect(isSignedBy(spki, data, signature)).toBe(true);
    }
  });

  it('is not deceived by what it found good before', () => {
    expect(isSignedBy(spki, data, signature)).toBe(true);
    expect(isSignedBy(spki, Buffer.concat([data, Buffer.of(0)]), signature)).toBe(false);
    expect(isSignedBy(spki, data, signature.subarray(1))).toBe(false);
    expect(isSignedBy(spkiOf(stranger), data, signature)).toBe(false);
    // The same bytes in the same order, divided otherwise.
    const longer = Buffer.concat([data, signature.subarray(0, 1)]);
    expect(isSignedBy(spki, longer, signature.subarray(1))).toBe(false);
  });

  it('finds a bad signature bad, however often it is asked', () => {
    const bad = Buffer.from(signature);
    bad[bad.length - 1] = (bad.at(-1) ?? 0) ^ 1;
    for (let times = 0; times < 3; times += 1) {
      expect(isSignedBy(spki, data, bad)).toBe(false);
    }
  });

  it('forgets what was good long ago, and finds it good again', () => {
    expect(isSignedBy(spki, data, signature)).toBe(true);
    for (let number = 0; number < 300; number += 1) {
      const other = Buffer.from(`other data ${number}`);
      expect(isSignedBy(spki, other, sign('sha256', other, pair.privateKey))).toBe(true);
    }
    expect(isSignedBy(spki, data, signature)).toBe(true);
  });
});

it('throws for what is no key', () => {
  const { publicKey, privateKey } = stranger;
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const signature = sign('sha256', data, privateKey);
  expect(isSignedBy(new Uint8Array(spki), data, signature)).toBe(true);
  expect(() => isSignedBy(spki.subarray(0, 40), data, signature)).toThrow();
});
