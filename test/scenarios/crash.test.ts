import { describe, expect, it } from 'vitest';
import { Observer } from '../../simulator/world/invariants.ts';
import type { Fate, Fates } from '../../simulator/world/wire.ts';
import { World, type WorldOptions } from '../../simulator/world/world.ts';

/*
 * A crash at every call that a process costs: the instance dies before it sends, with the request on its
 * way, or before it hears the answer. Another one takes over and has to end it as if nothing had happened.
 */

const crashes = ['before', 'sent', 'after'] as const;

/** All calls but the looking for work, which happens whether there is any or not. */
function counted(act: (turn: number) => Fate): {
  readonly fates: Fates;
  readonly turns: () => number;
} {
  let turns = 0;
  return {
    fates: ({ method }) => {
      if (method === 'check' || method === 'takeDue') return {};
      turns += 1;
      return act(turns);
    },
    turns: () => turns,
  };
}

async function walk(act: (turn: number) => Fate, options: WorldOptions) {
  const { fates, turns } = counted(act);
  const world = new World({ ...options, fates });
  const observer = new Observer(world);
  const process = world.add({ signAfterMs: 200 });
  world.onDeath = () => world.scheduler.after(1_000, () => void world.start());
  world.start();
  await world.untilClosed();
  await world.pass(120_000);
  const breaches = observer.finish();
  world.end();
  return { world, process, breaches, turns: turns(), surplus: observer.surplus };
}

const worlds: readonly (readonly [string, WorldOptions])[] = [
  ['an idempotent CA', { faults: { claimRepeated: 200 } }],
  [
    'a CA without idempotency, and a Google that answers every repetition with 400',
    {
      faults: { claimRepeated: 400, uploadTwice: 400 },
      cas: { default_ca_config: { idempotent: false } },
    },
  ],
];

describe.each(worlds)('a crash, with %s', (_name, options) => {
  it('at any call, once, changes nothing', async () => {
    const { turns } = await walk(() => ({}), options);
    expect(turns).toBeGreaterThan(10);
    for (let at = 1; at <= turns; at += 1) {
      for (const crash of crashes) {
        const told = await walk((turn) => (turn === at ? { crash } : {}), options);
        const { process, world, breaches } = told;
        expect({ at, crash, breaches }).toEqual({ at, crash, breaches: [] });
        expect({ at, crash, outcome: world.outcome(process) }).toEqual({
          at,
          crash,
          outcome: 'delivered',
        });
        expect(process.carriedOut.signData).toBe(1);
      }
    }
  });

  it('at any two calls changes nothing', async () => {
    const { turns } = await walk(() => ({}), options);
    let surplus = 0;
    for (let first = 1; first <= turns; first += 1) {
      for (let second = first + 1; second <= turns + 8; second += 1) {
        const crash = crashes[(first + second) % crashes.length] ?? 'after';
        const act = (turn: number): Fate => (turn === first || turn === second ? { crash } : {});
        const told = await walk(act, options);
        const { breaches } = told;
        expect({ first, second, breaches }).toEqual({ first, second, breaches: [] });
        expect(told.process.accepted).toBe(true);
        for (const count of told.surplus.values()) surplus += count;
      }
    }
    // Only where the CA knows no idempotency key can there be one too many.
    if (options.cas === undefined) expect(surplus).toBe(0);
  }, 60_000);

  it('of a zombie, that stands still at any call and wakes after its lease, changes nothing', async () => {
    const { turns } = await walk(() => ({}), options);
    for (let at = 1; at <= turns; at += 1) {
      for (const stall of ['before', 'after'] as const) {
        for (const stallMs of [31_000, 60_000]) {
          const { fates } = counted((turn) => (turn === at ? { stall, stallMs } : {}));
          const world = new World({ ...options, fates });
          const observer = new Observer(world);
          const process = world.add({ signAfterMs: 200 });
          world.start();
          world.start();
          await world.untilClosed();
          await world.pass(120_000);
          const breaches = observer.finish();
          expect({ at, stall, stallMs, breaches }).toEqual({ at, stall, stallMs, breaches: [] });
          expect(process.carriedOut.signData).toBe(1);
          expect(process.accepted).toBe(true);
          world.end();
        }
      }
    }
  }, 60_000);
});

describe('a crash while Google does not find the process', () => {
  /** How long it takes until it is given up, in seconds. */
  async function givenUpAfter(act: (turn: number) => Fate): Promise<number> {
    const world = new World({ fates: counted(act).fates });
    const process = world.add({ gone: 'at-once' });
    const from = world.now;
    world.start();
    world.start();
    await world.untilClosed();
    expect(world.outcome(process)).toBe('gone google-not-found');
    const { closedAt = 0 } = world.journal.kept.get(process.id) ?? {};
    world.end();
    return Math.round((closedAt - from) / 1_000);
  }

  const [pause, lease] = [15, 30];
  it.each([
    ['it is first looked for', 2, lease + pause],
    ['the pause is written', 3, lease + pause],
    ['it is looked for again', 4, pause + lease],
    ['its end is written', 5, pause + lease],
  ])(
    '(before %s) costs one lease, and the pause before the second look once',
    async (_when, at, most) => {
      for (const crash of crashes) {
        const seconds = await givenUpAfter((turn) => (turn === at ? { crash } : {}));
        expect([pause, most]).toContain(seconds);
      }
    },
  );
});
