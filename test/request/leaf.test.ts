import { beforeAll, describe, expect, it } from 'vitest';
import { Leaf, leafOf, noteLeaf } from '../../src/request/leaf.ts';
import { makeCa, makeLeaf, newKeys, publicKeyInfo } from '../support/test-certificates.ts';

let der: Uint8Array;
let key: Uint8Array;

beforeAll(async () => {
  const keys = await newKeys();
  key = await publicKeyInfo(keys);
  der = await makeLeaf(await makeCa(), { keys, serialNumber: '0ABC' });
});

const noted = (certificate: Uint8Array) => ({
  certificate: Buffer.from(certificate).toString('base64'),
});

describe('a leaf', () => {
  it('is read once, and says what it is', () => {
    const leaf = new Leaf(der);
    expect(leaf.facts).toBe(leaf.facts);
    expect(leaf.readable).toBe(leaf.facts);
    expect(leaf.facts.subjectPublicKeyInfo).toEqual(key);
    expect(leaf.serialNumber).toBe('0ABC');
  });

  it('that cannot be read says why, each time, and its serial number as far as that is there', () => {
    const behind = new Leaf(Uint8Array.from([...der, 0]));
    for (const _time of [1, 2]) expect(() => behind.facts).toThrow(/readable certificate/);
    expect(behind.readable).toBeUndefined();
    expect(behind.serialNumber).toBe('0ABC');
    expect(new Leaf(Uint8Array.of(1)).serialNumber).toBeUndefined();
  });

  it('stays the same one for what is written down about it, and is made of that where none came', () => {
    const issued = noted(der);
    const leaf = new Leaf(der);
    noteLeaf(issued, leaf);
    expect(leafOf(issued)).toBe(leaf);
    const read = noted(der);
    expect(leafOf(read)).toBe(leafOf(read));
    expect(leafOf(read).facts.subjectPublicKeyInfo).toEqual(key);
  });
});
