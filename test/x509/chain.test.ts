import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { chainsTo } from '../../src/x509/chain.ts';
import { readCertificates } from '../../src/x509/pem.ts';
import {
  type Authority,
  dayMs,
  type KeyPair,
  makeCa,
  makeLeaf,
  newKeys,
  now,
  x509,
} from '../support/test-certificates.ts';
import { work } from '../support/work.ts';

let root: Authority;
let issuing: Authority;
let keys: KeyPair;
let leaf: Uint8Array;

beforeAll(async () => {
  root = await makeCa();
  issuing = await makeCa({ name: 'CN=Issuing', parent: root });
  keys = await newKeys();
  leaf = await makeLeaf(issuing, { keys });
});

/** The problem with a chain over one intermediate made as given. */
async function problemOver(options: Parameters<typeof makeCa>[0], at = now): Promise<string> {
  const middle = await makeCa({ name: 'CN=Middle', parent: root, ...options });
  const result = chainsTo(await makeLeaf(middle, { keys }), [middle.der], [root.der], at);
  return result.trusted ? 'trusted' : result.problem;
}

function fixture(name: string): Uint8Array {
  const [der] = readCertificates(
    readFileSync(new URL(`../fixtures/x509/${name}`, import.meta.url)),
  );
  return der ?? new Uint8Array();
}

describe('a chain is found', () => {
  it.each([
    ['of version 1', 'leaf-v1.pem', 'v1root.pem'],
    ['without basicConstraints', 'leaf-nobc.pem', 'nobcroot.pem'],
  ])('to a root %s, because it was given', (_, below, above) => {
    const at = Date.UTC(2026, 11, 1);
    expect(chainsTo(fixture(below), [], [fixture(above)], at)).toMatchObject({ trusted: true });
    // In the middle of a chain it says nothing for itself.
    expect(chainsTo(fixture(below), [fixture(above)], [root.der], at)).toEqual({
      trusted: false,
      problem: '“CN=Example V1 Root,O=Example,C=US” is no CA',
    });
  });

  it('directly under a root', async () => {
    const direct = await makeLeaf(root, { keys });
    expect(chainsTo(direct, [], [root.der], now)).toEqual({
      trusted: true,
      chain: [direct, root.der],
    });
  });

  it('over an intermediate among strangers, in any order', async () => {
    const other = await makeCa({ name: 'CN=Other' });
    for (const middle of [
      [issuing.der, other.der, leaf, root.der],
      [root.der, leaf, other.der, issuing.der],
    ]) {
      expect(chainsTo(leaf, middle, [other.der, root.der], now)).toEqual({
        trusted: true,
        chain: [leaf, issuing.der, root.der],
      });
    }
  });

  it('to an intermediate that was configured as the root', () => {
    expect(chainsTo(leaf, [], [issuing.der], now)).toMatchObject({ trusted: true });
  });

  it('past a CA of the same name with another key', async () => {
    const impostor = await makeCa({ name: 'CN=Issuing', parent: root });
    expect(chainsTo(leaf, [impostor.der, issuing.der], [root.der], now).trusted).toBe(true);
  });

  it('past an expired twin of the issuing CA', async () => {
    const old = await makeCa({
      name: 'CN=Issuing',
      parent: root,
      keys: issuing.keys,
      notAfter: now - 1000,
    });
    expect(chainsTo(leaf, [old.der, issuing.der], [root.der], now).trusted).toBe(true);
  });

  it('when the path length just allows it', async () => {
    const narrow = await makeCa({ pathLength: 1 });
    const first = await makeCa({ name: 'CN=First', parent: narrow, pathLength: 0 });
    const under = await makeLeaf(first, { keys });
    expect(chainsTo(under, [first.der], [narrow.der], now).trusted).toBe(true);
  });
});

describe('a chain is refused', () => {
  it('when the intermediate is missing', () => {
    expect(chainsTo(leaf, [], [root.der], now)).toEqual({
      trusted: false,
      problem: 'no certificate of its issuer (CN=Issuing) is at hand',
    });
  });

  it('when it leads to another root', async () => {
    const other = await makeCa({ name: 'CN=Other' });
    expect(chainsTo(leaf, [issuing.der, root.der], [other.der], now)).toMatchObject({
      problem: '“CN=Test Root” leads to none of the roots',
    });
  });

  it('when the signature is by a namesake', async () => {
    const impostor = await makeCa();
    expect(chainsTo(leaf, [issuing.der], [impostor.der], now)).toMatchObject({
      problem: 'the signature of “CN=Issuing” is not by “CN=Test Root”',
    });
  });

  it('when a byte of the leaf was changed', () => {
    const forged = leaf.slice();
    const at = Buffer.from(forged).indexOf('device-1');
    forged[at] = 'X'.charCodeAt(0);
    expect(chainsTo(forged, [issuing.der], [root.der], now)).toMatchObject({ trusted: false });
  });

  it('when the root has expired or is not valid yet', async () => {
    expect(chainsTo(leaf, [issuing.der], [root.der], now + 4000 * dayMs)).toMatchObject({
      problem: expect.stringContaining('has expired'),
    });
    expect(chainsTo(leaf, [issuing.der], [root.der], now - 400 * dayMs)).toMatchObject({
      problem: expect.stringContaining('is not valid yet'),
    });
  });

  it('when an intermediate has expired', async () => {
    expect(await problemOver({ notAfter: now - 1000 })).toBe('“CN=Middle” has expired');
  });

  it('when an intermediate is no CA', async () => {
    expect(await problemOver({ isCa: false })).toBe('“CN=Middle” is no CA');
  });

  it('when an intermediate may not sign certificates', async () => {
    // Node’s own check of issuers already passes such a certificate over.
    const problem = await problemOver({ keyUsage: x509.KeyUsageFlags.digitalSignature });
    expect(problem).not.toBe('trusted');
  });

  it('when an intermediate has a critical extension that nobody knows', async () => {
    const extensions = [new x509.Extension('1.2.3.4', true, Buffer.from('0500', 'hex'))];
    expect(await problemOver({ extensions })).toContain('unknown critical extension 1.2.3.4');
  });

  it('when the path is longer than a CA allows', async () => {
    const narrow = await makeCa({ pathLength: 0 });
    const first = await makeCa({ name: 'CN=First', parent: narrow });
    const under = await makeLeaf(first, { keys });
    expect(chainsTo(under, [first.der], [narrow.der], now)).toMatchObject({
      problem: '“CN=Test Root” allows 0 CAs below it, not 1',
    });
  });

  it('when it is longer than eight', async () => {
    const path: Authority[] = [root];
    for (let i = 0; i < 9; i++) {
      const parent = path.at(-1);
      path.push(
        await makeCa({ name: `CN=Level ${i}`, ...(parent === undefined ? {} : { parent }) }),
      );
    }
    const lowest = path.at(-1);
    if (lowest === undefined) throw new Error('There is a lowest CA.');
    const middle = path.slice(1).map(({ der }) => der);
    const deep = await makeLeaf(lowest, { keys });
    expect(chainsTo(deep, middle, [root.der], now).trusted).toBe(false);
    expect(chainsTo(deep, middle, [middle[2] ?? root.der], now).trusted).toBe(true);
  });

  it('without delay when twenty CAs have signed each other', async () => {
    const same = await newKeys();
    const circle: Uint8Array[] = [];
    const self: Authority = { name: 'CN=Same', keys: same, der: new Uint8Array() };
    for (let i = 0; i < 20; i++) {
      circle.push(
        (
          await makeCa({
            name: 'CN=Same',
            parent: self,
            keys: same,
            notAfter: now + (i + 1) * dayMs,
          })
        ).der,
      );
    }
    const lost = await makeLeaf(self, { keys });
    const search = (many: number) => () =>
      expect(chainsTo(lost, circle.slice(0, many), [root.der], now).trusted).toBe(false);
    const [half, whole] = [work(search(10)), work(search(20))];
    expect([half.error, whole.error]).toEqual([undefined, undefined]);
    // Twice as many pairs of pairs; each way through all of them would be more than a thousand times as many.
    expect(whole.workMs).toBeLessThan(100 * Math.max(1, half.workMs));
  });

  it('when it comes with more than twenty certificates', () => {
    const many = Array.from({ length: 21 }, () => issuing.der);
    expect(chainsTo(leaf, many, [root.der], now)).toMatchObject({
      problem: 'it came with 21 others; 20 are read',
    });
  });

  it('when something in it is no certificate', () => {
    expect(chainsTo(leaf, [Buffer.from('3000', 'hex')], [root.der], now).trusted).toBe(false);
  });
});
