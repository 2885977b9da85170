import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { attempt } from '../../../proofs/fuzz/attempt.ts';
import { derTree } from '../../../proofs/fuzz/der-tree.ts';
import { bytesOf, type Door, demand, textOf } from '../../../proofs/fuzz/door.ts';
import { byteEdit } from '../../../proofs/fuzz/edit.ts';
import { Explorer } from '../../../proofs/fuzz/explorer.ts';
import { jsonTree } from '../../../proofs/fuzz/json-tree.ts';
import { minimise } from '../../../proofs/fuzz/minimise.ts';
import { type TreeForm, treeEdit } from '../../../proofs/fuzz/tree-edit.ts';

class Refused extends Error {}

function doorThat(enter: (text: string) => string): Door {
  return {
    name: 'test',
    form: 'json',
    seeds: [bytesOf('{"a":{"b":[1,"two"]}}')],
    dictionary: ['x'],
    enter: (input) => enter(textOf(input)),
    isRefusal: (error) => error instanceof Refused,
  };
}

async function firstFinding(door: Door, most: number) {
  const explorer = new Explorer(door, 7);
  for (let count = 0; count < most; count += 1) {
    const found = await explorer.try(explorer.next());
    if (found !== undefined) return found;
  }
  return undefined;
}

describe('the fuzzer', () => {
  it('takes an error of the promised kind for what it is', async () => {
    const door = doorThat(() => {
      throw new Refused('no "secret" 123');
    });
    expect(await attempt(door, new Uint8Array())).toEqual({
      kind: 'fine',
      accepted: false,
      trace: 'refused no _ _',
    });
  });

  it('finds an error of another kind, however deep it lies', async () => {
    const found = await firstFinding(
      doorThat((text) => {
        const json = parse(text);
        // A mistake like those that are made: `a` may be missing, `b` may be no array.
        return Reflect.get(Object(json), 'a').b.map(String).join();
      }),
      2_000,
    );
    expect(found?.what).toMatch(/^throws TypeError/);
  });

  it('finds what must not come through', async () => {
    const found = await firstFinding(
      doorThat((text) => {
        demand(!text.includes('__proto__'), 'a key that must not be');
        return 'fine';
      }),
      5_000,
    );
    expect(found?.what).toBe('a key that must not be');
  });

  it('finds a polluted prototype, and cleans it', async () => {
    const door = doorThat(() => {
      Object.assign(Object.prototype, { polluted: true });
      return 'fine';
    });
    expect(await attempt(door, new Uint8Array())).toEqual({
      kind: 'finding',
      what: 'pollutes Object.prototype with polluted',
    });
    expect('polluted' in {}).toBe(false);
  });

  it('tries the same inputs for the same seed', () => {
    const door = doorThat(() => 'fine');
    const inputsOf = (seed: number) => {
      const explorer = new Explorer(door, seed);
      return Array.from({ length: 50 }, () => textOf(explorer.next()));
    };
    expect(inputsOf(3)).toEqual(inputsOf(3));
    expect(inputsOf(3)).not.toEqual(inputsOf(4));
  });

  it('minimises what it finds', async () => {
    const input = bytesOf(`${'a'.repeat(500)}x${'b'.repeat(300)}y`);
    const holds = async (candidate: Uint8Array) => /x.*y/.test(textOf(candidate));
    expect(textOf(await minimise(input, holds, 10_000))).toBe('xy');
  });

  it('answers what is shortest so far when its time is over', async () => {
    const input = bytesOf('a'.repeat(1_000));
    const holds = async (candidate: Uint8Array) => candidate.length >= 10;
    const shortest = await minimise(input, holds, 0);
    expect(await holds(shortest)).toBe(true);
  });

  it('keeps JSON JSON while it changes it', () => {
    const json = bytesOf('{"a":{"b":[1,"two"]},"c":null}');
    const changed = changesOf(json, jsonTree).map(textOf);
    for (const text of changed) expect(() => JSON.parse(text)).not.toThrow();
    expect(new Set(changed).size).toBeGreaterThan(100);
    expect(changed.join()).toContain('"__proto__":');
  });

  it('keeps DER DER while it changes it, but for a length that is longer than it need be', () => {
    // SEQUENCE { INTEGER 5, SEQUENCE { NULL } }
    const der = Uint8Array.of(0x30, 7, 2, 1, 5, 0x30, 2, 5, 0);
    const changed = changesOf(der, derTree).filter(({ length }) => length > 0);
    for (const bytes of changed) expect(derTree.read(bytes)).toBeDefined();
    expect(
      new Set(changed.map((bytes) => Buffer.from(bytes).toString('hex'))).size,
    ).toBeGreaterThan(100);
  });
});

function changesOf(input: Uint8Array, form: TreeForm): Uint8Array[] {
  const edits = fc.sample(treeEdit(form, byteEdit([])), { seed: 11, numRuns: 500 });
  return edits.map((edit) => edit(input, input));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refused('no JSON');
  }
}
