import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  defaultsAt,
  FaultError,
  Faults,
  faultNames,
  methods,
  switches,
  troubles,
} from '../../simulator/faults.ts';
import { startSimulator } from '../../simulator/simulator.ts';

const readme = readFileSync(new URL('../../simulator/README.md', import.meta.url), 'utf8');

/** The first column of the README's fault tables with the second: name and default. */
function documented(): Map<string, string> {
  const section = readme.split('## Faults and switches')[1]?.split('\n## ')[0] ?? '';
  const rows = section.matchAll(/^\| `([^`]+)` \| ([^|]+) \|/gm);
  return new Map([...rows].map(([, name, value]) => [name!, value!.trim()]));
}

describe('the README', () => {
  it('names every fault and switch, and no other', () => {
    const names = [...documented().keys()].flatMap((name) =>
      name.startsWith('<method>.')
        ? methods.map((method) => name.replace('<method>', method))
        : [name],
    );
    expect(names.sort()).toEqual([...faultNames].sort());
  });

  it('gives the defaults at the usual base rate', () => {
    const defaults = defaultsAt(0.02);
    for (const [name, value] of documented()) {
      const known = defaults[name.replace('<method>', 'get')];
      const isSwitch = Object.hasOwn(switches, name);
      expect(isSwitch ? value.split(' · ')[0] : value, name).toBe(`\`${known}\``);
    }
  });

  it('lists every choice of a switch, the default first', () => {
    for (const [name, { choices }] of Object.entries(switches)) {
      expect(documented().get(name), name).toBe(
        choices.map((choice) => `\`${choice}\``).join(' · '),
      );
    }
  });
});

describe('chances', () => {
  it('are decided by the seed, whatever the order of the questions', () => {
    const subjects = Array.from({ length: 500 }, (_, index) => index);
    const ask = (faults: Faults, order: readonly number[]) =>
      new Map(order.map((subject) => [subject, faults.trouble('get', subject, 1)]));
    const forwards = ask(new Faults(42, 0.5), subjects);
    const backwards = ask(new Faults(42, 0.5), subjects.toReversed());
    expect([...forwards].sort()).toEqual([...backwards].sort());
    expect(ask(new Faults(43, 0.5), subjects)).not.toEqual(forwards);
  });

  it('come as often as the base rate says, with every kind among them', () => {
    const faults = new Faults(1, 0.2);
    const seen = Array.from({ length: 20_000 }, (_, index) => faults.trouble('claim', index, 0));
    const happened = seen.filter((trouble) => trouble !== undefined);
    expect(happened.length / seen.length).toBeGreaterThan(0.18);
    expect(happened.length / seen.length).toBeLessThan(0.22);
    expect(new Set(happened)).toEqual(new Set(troubles));
  });

  it('of lasting trouble do not follow the base rate', () => {
    const values = new Faults(1, 1).values();
    expect(values['processGone']).toBe(0);
    expect(values['operationNeverEnds']).toBe(0);
  });

  it('never happen at rate 0', () => {
    const faults = new Faults(1, 0);
    for (let index = 0; index < 1_000; index += 1) {
      expect(faults.trouble('get', index, 0)).toBeUndefined();
      expect(faults.happens('duplicates', index, 0)).toBe(false);
    }
  });
});

describe('settings', () => {
  it('change all or nothing', () => {
    const faults = new Faults(1, 0);
    const before = faults.values();
    expect(() => faults.set({ duplicates: 1, claimRepeated: 201 })).toThrow(FaultError);
    expect(faults.values()).toEqual(before);
  });

  it.each([
    [{ 'get.429': 1.5 }, 'get.429 is a probability'],
    [{ claimRepeated: 500 }, 'claimRepeated is one of: 200, 400'],
    [{ nothing: 1 }, 'no fault named "nothing"'],
    [{ 'get.418': 1 }, 'no fault named "get.418"'],
  ])('refuse %o', (changes, message) => {
    expect(() => new Faults(1, 0).set(changes)).toThrow(message);
  });

  it('keep a chance that is given together with the base rate', () => {
    const faults = new Faults(1, 0);
    faults.set({ duplicates: 0.9, rate: 0.1 });
    expect(faults.values()).toMatchObject({ duplicates: 0.9, reordering: 0.1, rate: 0.1 });
  });
});

it('gives processes the same ids under the same seed', async () => {
  const ids = async (seed: number) => {
    await using simulator = await startSimulator({ faults: 0, seed, distinctKeys: { ec: 1 } });
    return (await simulator.addDevices({ key: 'ec', count: 3 })).map((added) => added.id);
  };
  const first = await ids(5);
  expect(await ids(5)).toEqual(first);
  expect(await ids(6)).not.toEqual(first);
  for (const id of first) expect(id).toMatch(/^[0-9a-f]{32}$/);
});
