import { describe, expect, it } from 'vitest';
import { attempt } from '../../../proofs/fuzz/attempt.ts';
import { bytesOf, type Door, demand, textOf } from '../../../proofs/fuzz/door.ts';
import { Explorer } from '../../../proofs/fuzz/explorer.ts';
import { minimise } from '../../../proofs/fuzz/minimise.ts';
import { mutateDer } from '../../../proofs/fuzz/mutate-der.ts';
import { mutateJson } from '../../../proofs/fuzz/mutate-json.ts';
import { Random } from '../../../proofs/fuzz/random.ts';

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
    expect(textOf(await minimise(input, holds))).toBe('xy');
  });

  it('keeps JSON JSON and DER DER while it changes them', () => {
    const random = new Random(11);
    const json = '{"a":{"b":[1,"two"]},"c":null}';
    // SEQUENCE { INTEGER 5, SEQUENCE { NULL } }
    const der = Uint8Array.of(0x30, 7, 2, 1, 5, 0x30, 2, 5, 0);
    for (let count = 0; count < 500; count += 1) {
      expect(() => JSON.parse(mutateJson(json, random) ?? 'x')).not.toThrow();
      const changed = mutateDer(der, random) ?? new Uint8Array();
      expect(lengthOf(changed)).toBe(changed.length);
    }
  });
});

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refused('no JSON');
  }
}

/** Of one element, its header included; a length below 65,536. */
function lengthOf(der: Uint8Array): number {
  const [, first = 0, second = 0, third = 0] = der;
  if (first === 0x81) return second + 3;
  if (first === 0x82) return second * 256 + third + 4;
  return first + 2;
}
