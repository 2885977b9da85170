import { describe, expect, it } from 'vitest';
import type { Decision } from '../../simulator/world/ca.ts';
import { Observer } from '../../simulator/world/invariants.ts';
import { hourMs } from '../../simulator/world/scheduler.ts';
import { World, type WorldOptions } from '../../simulator/world/world.ts';
import { ProvisioningError } from '../../src/errors.ts';
import type { IssueRequest } from '../../src/plug-in/certificate-authority.ts';
import { makeCa } from '../support/test-certificates.ts';

const minuteMs = 60_000;
const rejects: Decision = { kind: 'reject' };
const issues: Decision = { kind: 'issue' };
const issuesWrongNames: Decision = { kind: 'issue', cut: 'wrong-names' };

/** A CA that decides as `decide` says at the moment, and so many devices. */
function fleet(count: number, options: WorldOptions & { readonly idempotent?: boolean } = {}) {
  const { idempotent = true, ...rest } = options;
  const ca = {
    decide: (_device: string): Decision => issues,
    decideOrder: ({ processId }: IssueRequest): Decision => ca.decide(processId),
  };
  const world = new World({
    ...rest,
    cas: { default_ca_config: { idempotent, decide: (order) => ca.decideOrder(order) } },
  });
  const observer = new Observer(world);
  const add = (more: number) => Array.from({ length: more }, () => world.add());
  const devices = add(count);
  const outcomes = () => devices.map((each) => world.outcome(each));
  const orders = () => world.ca().calls.filter(({ method }) => method === 'issue').length;
  const problem = () => world.instances.at(-1)?.authorities.get('default_ca_config')?.problem;
  const restart = async (configuration: string) => {
    for (const { stop } of world.instances) stop.abort();
    await world.until(() => world.instances.every(({ ended }) => ended !== undefined), hourMs);
    world.configuration = configuration;
    world.start();
  };
  return { world, ca, observer, devices, add, outcomes, orders, problem, restart };
}

describe('an authority that has not issued since its configuration changed', () => {
  it('and rejects every order holds 50 of 50, is red within a minute, tries one a minute, and delivers all once it is corrected', async () => {
    const { world, ca, observer, devices, outcomes, orders, problem, restart } = fleet(50);
    ca.decide = () => rejects;
    world.start();
    await world.pass(minuteMs);
    expect(problem()?.message).toMatch(/^every order is rejected: The policy of this world\. /);
    expect(world.heardOf('authority')).toMatchObject([{ up: false, held: 'rejected' }]);
    const first = orders();
    expect(first).toBeLessThanOrEqual(50);
    await world.pass(20 * minuteMs);
    expect(orders() - first).toBeLessThanOrEqual(20);
    expect(orders() - first).toBeGreaterThan(15);
    expect(world.heardOf('closed')).toEqual([]);
    expect(new Set(world.heardOf('trouble').map(({ code }) => code))).toEqual(
      new Set(['ca-rejecting']),
    );
    ca.decide = () => issues;
    await restart('corrected');
    const correctedAt = world.now;
    await world.untilClosed();
    expect(outcomes()).toEqual(devices.map(() => 'delivered'));
    expect(world.now - correctedAt).toBeLessThan(3 * minuteMs);
    expect(problem()).toBeUndefined();
    expect(observer.finish()).toEqual([]);
  });

  it('is freed by the first order that succeeds, without a restart, over all instances', async () => {
    const { world, ca, outcomes, orders } = fleet(20);
    ca.decide = () => rejects;
    world.start();
    world.start();
    await world.pass(5 * minuteMs);
    const before = orders();
    await world.pass(10 * minuteMs);
    // Two instances try no more than one.
    expect(orders() - before).toBeLessThanOrEqual(10);
    ca.decide = () => issues;
    const mendedAt = world.now;
    await world.untilClosed();
    expect(new Set(outcomes())).toEqual(new Set(['delivered']));
    expect(world.now - mendedAt).toBeLessThan(4 * minuteMs);
  });

  it('is tried once a minute too, and told once, where it takes orders and rejects them later', async () => {
    const { world, ca, outcomes, orders } = fleet(30);
    const seen = new Set<string>();
    let isMended = false;
    ca.decideOrder = ({ requestId }) => {
      if (isMended) return issues;
      if (seen.has(requestId)) return rejects;
      seen.add(requestId);
      return { kind: 'pending', pollAfterMs: 5_000 };
    };
    world.start();
    await world.pass(2 * minuteMs);
    const first = orders();
    await world.pass(20 * minuteMs);
    expect(orders() - first).toBeLessThanOrEqual(20);
    expect(orders() - first).toBeGreaterThan(14);
    expect(world.heardOf('authority')).toMatchObject([{ up: false, held: 'rejected' }]);
    isMended = true;
    await world.untilClosed(10 * minuteMs);
    expect(outcomes()).toEqual(Array(30).fill('delivered'));
  });

  it('refuses when limits.issuingHours has passed, and not before', async () => {
    const { world, ca, devices } = fleet(1, { issuingHours: 1 });
    ca.decide = () => rejects;
    world.start();
    await world.untilClosed();
    expect(devices.map((each) => world.outcome(each))).toEqual(['refused ca-rejecting']);
    expect((world.now - (devices[0]?.startedAtMs ?? 0)) / hourMs).toBeCloseTo(1, 0);
  });

  it('holds one bad device and not the others, and refuses it as soon as it has issued', async () => {
    const { world, ca, devices, outcomes } = fleet(10);
    const bad = devices[0]?.id;
    ca.decide = (device) => (device === bad ? rejects : issues);
    world.start();
    await world.untilClosed(hourMs);
    expect(outcomes()).toEqual(['refused ca-rejected', ...devices.slice(1).map(() => 'delivered')]);
  });

  it('holds what its prepare() refuses, too', async () => {
    const { world, outcomes } = fleet(5);
    let isMended = false;
    let asked = 0;
    world.start((inner) => ({
      ...inner,
      [Symbol.asyncDispose]: () => Promise.resolve(),
      prepare: async () => {
        asked += 1;
        if (!isMended) throw new ProvisioningError('name-invalid', 'No e-mail addresses here.');
        return {};
      },
    }));
    await world.pass(10 * minuteMs);
    expect(asked).toBeLessThan(20);
    expect(outcomes()).toEqual(Array(5).fill('open'));
    isMended = true;
    await world.untilClosed(hourMs);
    expect(outcomes()).toEqual(Array(5).fill('delivered'));
  });
});

describe('a wrong challenge inside what devices sign', () => {
  it('spoils the first few, holds all others before they are asked, and delivers to these once it is corrected', async () => {
    const world = new World({
      cas: {
        default_ca_config: {
          decide: ({ prepared }) => (prepared === 'right' ? issues : rejects),
        },
      },
    });
    const devices = Array.from({ length: 50 }, () => world.add());
    const startWith = (challenge: string) =>
      world.start((ca) => ({
        ...ca,
        [Symbol.asyncDispose]: () => Promise.resolve(),
        prepare: () => Promise.resolve({ state: challenge }),
      }));
    const wrong = startWith('mistyped');
    await world.pass(minuteMs);
    expect(devices.filter(({ calls }) => calls.signData > 0).length).toBeLessThanOrEqual(2);
    await world.pass(30 * minuteMs);
    expect(world.heardOf('closed')).toEqual([]);
    const spoilt = devices.filter(({ calls }) => calls.signData > 0).length;
    expect(spoilt).toBeLessThanOrEqual(6);
    wrong.stop.abort();
    await world.until(() => wrong.ended !== undefined, hourMs);
    world.configuration = 'corrected';
    startWith('right');
    await world.until(
      () => devices.filter(({ accepted }) => accepted).length === 50 - spoilt,
      10 * minuteMs,
    );
    expect(devices.filter(({ accepted }) => accepted)).toHaveLength(50 - spoilt);
    await world.untilClosed(hourMs);
    const ends = devices.map((each) => world.outcome(each));
    expect(ends.filter((end) => end === 'refused ca-rejected')).toHaveLength(spoilt);
  });

  it('does not wait long for the others when the first is just a bad one', async () => {
    const devices: ReturnType<World['add']>[] = [];
    const world = new World({
      cas: {
        default_ca_config: {
          decide: ({ processId }) => (processId === devices[0]?.id ? rejects : issues),
        },
      },
    });
    devices.push(...Array.from({ length: 20 }, () => world.add()));
    world.start((ca) => ({
      ...ca,
      [Symbol.asyncDispose]: () => Promise.resolve(),
      prepare: () => Promise.resolve({ state: 'right' }),
    }));
    await world.untilClosed(5 * minuteMs);
    const ends = devices.map((each) => world.outcome(each));
    expect(ends).toEqual(['refused ca-rejected', ...Array(19).fill('delivered')]);
  });

  it('does not have all others looked at every few seconds when the first are long in signing', async () => {
    const world = new World();
    for (let count = 0; count < 100; count += 1) world.add({ signAfterMs: hourMs });
    world.start((ca) => ({
      ...ca,
      [Symbol.asyncDispose]: () => Promise.resolve(),
      prepare: () => Promise.resolve({ state: 'right' }),
    }));
    await world.pass(2 * minuteMs);
    const before = world.heardOf('trouble').length;
    await world.pass(minuteMs);
    // Each about every 40 seconds; it was every 4.
    expect(world.heardOf('trouble').length - before).toBeLessThan(250);
  });

  it('costs the first devices of a right one a few seconds', async () => {
    const world = new World();
    const devices = Array.from({ length: 50 }, () => world.add());
    world.start((ca) => ({
      ...ca,
      [Symbol.asyncDispose]: () => Promise.resolve(),
      prepare: () => Promise.resolve({ state: 'right' }),
    }));
    await world.untilClosed(20_000);
    expect(devices.every(({ accepted }) => accepted)).toBe(true);
  });
});

describe('an authority that has issued', () => {
  it('refuses a single bad device at once', async () => {
    const { world, ca, devices } = fleet(1, { proven: true });
    ca.decide = () => rejects;
    world.start();
    await world.untilClosed(minuteMs);
    expect(devices.map((each) => world.outcome(each))).toEqual(['refused ca-rejected']);
  });

  it('is not believed any more after five devices in a row', async () => {
    const { world, ca, add, outcomes, problem } = fleet(0, { proven: true });
    ca.decide = () => rejects;
    world.start();
    const late = add(20);
    await world.pass(5 * minuteMs);
    const ends = () => late.map((each) => world.outcome(each));
    expect(ends().filter((end) => end === 'refused ca-rejected').length).toBe(4);
    expect(ends().filter((end) => end === 'open').length).toBe(16);
    expect(problem()?.code).toBe('ca-rejecting');
    ca.decide = () => issues;
    await world.untilClosed(hourMs);
    expect(ends().filter((end) => end === 'delivered').length).toBe(16);
    expect(outcomes()).toEqual([]);
  });

  it('and goes on to reject many lets a good device through at once, before those that were rejected', async () => {
    const { world, ca, devices } = fleet(25, { proven: true });
    const blocked = new Set(devices.map(({ id }) => id));
    ca.decide = (device) => (blocked.has(device) ? rejects : issues);
    world.start();
    await world.pass(45 * minuteMs);
    for (let count = 0; count < 3; count += 1) {
      const good = world.add();
      const { now } = world;
      await world.until(() => good.accepted, 4 * hourMs);
      expect(world.now - now).toBeLessThan(3 * minuteMs);
      await world.pass(5 * minuteMs);
    }
  });

  it('is asked to prove itself again when its configuration or the profile was changed', async () => {
    for (const change of ['configuration', 'profile'] as const) {
      const { world, ca, restart, add } = fleet(3);
      world.start();
      await world.untilClosed(hourMs);
      ca.decide = () => rejects;
      if (change === 'profile') {
        const [name, profile] = [...world.profiles][0] ?? [];
        if (name === undefined || profile === undefined) throw new Error('There is a profile.');
        world.profiles.set(name, { ...profile, template: 'Mistyped' });
        await restart('the first');
      } else await restart('with a wrong challenge');
      const late = add(8);
      await world.pass(5 * minuteMs);
      expect(late.map((each) => world.outcome(each))).toEqual(late.map(() => 'open'));
      ca.decide = () => issues;
      await world.untilClosed(hourMs);
      expect(late.map((each) => world.outcome(each))).toEqual(late.map(() => 'delivered'));
    }
  });

  it('writes nothing about itself for a certificate, but for the first', async () => {
    const { world, devices } = fleet(10);
    let writes = 0;
    const { store } = world.journal.options;
    const write = store.writeStanding.bind(store);
    store.writeStanding = (...change) => {
      writes += 1;
      return write(...change);
    };
    world.start();
    await world.untilClosed();
    expect(devices.every(({ accepted }) => accepted)).toBe(true);
    // Orders that were under way together may each have written it.
    expect(writes).toBeLessThanOrEqual(8);
    writes = 0;
    for (let more = 0; more < 10; more += 1) world.add();
    await world.untilClosed();
    expect(writes).toBe(0);
  });
});

describe('an authority whose certificates fail their check', () => {
  const restartWithRoots = async (fleetOf: ReturnType<typeof fleet>) => {
    fleetOf.world.roots = [fleetOf.world.ca().root];
    await fleetOf.restart('with its roots');
  };

  it('by wrong roots refuses 0 of 50, is red within a minute, makes few certificates, and delivers 50 of 50 once they are corrected', async () => {
    const all = fleet(50);
    const { world, observer, devices, outcomes, problem } = all;
    world.roots = [(await makeCa()).der];
    world.start();
    await world.pass(minuteMs);
    const { code, message } = problem() ?? {};
    expect(code).toBe('certificate-untrusted');
    expect(message).toMatch(
      /^every certificate of it is held back: The certificate does not chain to the authority’s roots/,
    );
    expect(world.heardOf('authority')).toMatchObject([{ up: false, held: 'failing' }]);
    const first = world.ca().ledger.length;
    expect(first).toBeLessThanOrEqual(16);
    await world.pass(2 * hourMs);
    // After 1 minute, then 2, 4, … and an hour at most.
    expect(world.ca().ledger.length - first).toBeLessThanOrEqual(8);
    expect(world.ca().ledger.length - first).toBeGreaterThan(4);

    // Each is kept for the corrected configuration.
    expect(world.heardOf('orphan')).toEqual([]);
    expect(outcomes()).toEqual(devices.map(() => 'open'));
    const correctedAt = world.now;
    await restartWithRoots(all);
    await world.untilClosed();
    expect(outcomes()).toEqual(devices.map(() => 'delivered'));
    expect(world.now - correctedAt).toBeLessThan(7 * minuteMs);
    expect(world.ca().ledger).toHaveLength(50);
    expect(problem()).toBeUndefined();
    expect(observer.finish()).toEqual([]);
  });

  it.each([1, 20])(
    'is freed when the CA is mended, without a restart (%i devices)',
    async (count) => {
      const { world, ca, observer, outcomes } = fleet(count);
      ca.decide = () => issuesWrongNames;
      world.start();
      world.start();
      await world.pass(5 * hourMs);
      expect(new Set(outcomes())).toEqual(new Set(['open']));
      const before = world.ca().ledger.length;
      expect(before).toBeLessThanOrEqual(16 + 11);

      ca.decide = () => issues;
      const mendedAt = world.now;
      await world.untilClosed();
      expect(outcomes()).toEqual(Array(count).fill('delivered'));

      expect(world.now - mendedAt).toBeLessThan(2 * hourMs);
      expect(observer.finish()).toEqual([]);
    },
  );

  it('refuses when limits.issuingHours has passed, not before, and revokes then', async () => {
    const { world, ca, outcomes, devices } = fleet(3, { issuingHours: 6 });
    ca.decide = () => issuesWrongNames;
    world.start();
    await world.pass(5.8 * hourMs);
    expect(outcomes()).toEqual(devices.map(() => 'open'));
    await world.untilClosed(hourMs);
    expect(outcomes()).toEqual(devices.map(() => 'refused certificate-wrong-names'));
    expect(world.ca().ledger.every(({ revokedAt }) => revokedAt !== undefined)).toBe(true);
  });

  it('is held, once it has issued, after five devices in a row and not for one', async () => {
    const { world, ca, add, problem } = fleet(0, { proven: true });
    ca.decide = () => issuesWrongNames;
    world.start();
    const [bad] = add(1);
    if (bad === undefined) throw new Error('There is a device.');
    await world.pass(2 * hourMs);
    expect(world.outcome(bad)).toBe('refused certificate-wrong-names');
    expect(problem()).toBeUndefined();
    const late = add(20);
    await world.pass(2 * hourMs);
    expect(late.map((each) => world.outcome(each))).toEqual(late.map(() => 'open'));
    expect(problem()?.code).toBe('certificate-wrong-names');
    ca.decide = () => issues;
    await world.untilClosed(2 * hourMs);
    expect(late.map((each) => world.outcome(each))).toEqual(late.map(() => 'delivered'));
  });

  it('asks hardly any device to sign meanwhile, where it wants something inside', async () => {
    const { world, ca, devices } = fleet(30);
    ca.decide = () => issuesWrongNames;
    world.start((inner) => ({
      ...inner,
      [Symbol.asyncDispose]: () => Promise.resolve(),
      prepare: () => Promise.resolve({ state: 'one-time', expiresAt: world.now + 10 * minuteMs }),
    }));
    await world.pass(30 * minuteMs);
    expect(devices.filter(({ calls }) => calls.signData > 0).length).toBeLessThanOrEqual(7);
  });
});

describe('a one-time challenge that ran out while orders waited', () => {
  it('costs its device this attempt, since it signs only once, and says why', async () => {
    const { world, ca, devices, outcomes } = fleet(1);
    ca.decide = () => rejects;
    world.start((inner) => ({
      ...inner,
      [Symbol.asyncDispose]: () => Promise.resolve(),
      prepare: () => Promise.resolve({ state: 'one-time', expiresAt: world.now + 10 * minuteMs }),
    }));
    await world.untilClosed(hourMs);
    expect(outcomes()).toEqual(['refused preparation-expired']);
    const { record } = world.journal.kept.get(devices[0]?.id ?? '') ?? {};
    expect(record?.refusal?.message).toMatch(
      /ran out while orders waited: every order is rejected/,
    );
  });
});

describe('an order whose answer is not understood', () => {
  const unread = (): Decision => ({
    kind: 'fail',
    error: new ProvisioningError('ca-bad-answer', 'The reply is AES-GCM, which cannot be read.'),
  });

  it('is told each time, and after the second no more is ordered but one now and then', async () => {
    const { world, ca, orders, outcomes, problem } = fleet(1, { idempotent: false });
    ca.decide = unread;
    world.start();
    await world.pass(4 * minuteMs);
    expect(orders()).toBe(2);
    expect(problem()?.message).toMatch(/not understood: The reply is AES-GCM/);
    expect(world.heardOf('authority').at(-1)).toMatchObject({ up: false, held: 'unanswered' });
    await world.pass(24 * hourMs);
    // After 5 minutes, then 10, 20, … and 6 hours at most.
    expect(orders()).toBeLessThanOrEqual(12);
    expect(orders()).toBeGreaterThan(7);
    const told = world.heardOf('orphan');
    expect(told).toHaveLength(orders());
    expect(new Set(told.map(({ requestId }) => requestId)).size).toBe(1);
    ca.decide = () => issues;
    await world.untilClosed();
    expect(outcomes()).toEqual(['delivered']);
    expect(problem()).toBeUndefined();
  });

  it('is ordered at once after the configuration was changed', async () => {
    const { world, ca, restart, outcomes } = fleet(5, { idempotent: false });
    ca.decide = unread;
    world.start();
    await world.pass(3 * hourMs);
    ca.decide = () => issues;
    await restart('with another cipher');
    await world.untilClosed(7 * minuteMs);
    expect(outcomes()).toEqual(Array(5).fill('delivered'));
  });

  it('holds an authority whose answers never come although it looks well, and frees it by itself', async () => {
    const { world, ca, orders, outcomes, problem } = fleet(8, { idempotent: false });
    ca.decide = () => ({
      kind: 'fail',
      error: new ProvisioningError('ca-unavailable', 'The connection was closed.'),
    });
    world.start();
    await world.pass(3 * hourMs);
    expect(problem()?.code).toBe('ca-bad-answer');
    expect(orders()).toBeLessThan(40);
    ca.decide = () => issues;
    await world.untilClosed();
    expect(outcomes()).toEqual(Array(8).fill('delivered'));
  });

  it('lets hardly any more device sign what runs out meanwhile, though it has issued before', async () => {
    const { world, ca, devices, outcomes } = fleet(30, { idempotent: false, proven: true });
    ca.decide = unread;
    let prepared = 0;
    world.start((inner) => ({
      ...inner,
      [Symbol.asyncDispose]: () => Promise.resolve(),
      prepare: async () => {
        prepared += 1;
        return { state: 'a one-time challenge' };
      },
    }));
    await world.pass(minuteMs);
    const before = prepared;
    const late = Array.from({ length: 30 }, () => world.add());
    await world.pass(30 * minuteMs);
    expect(prepared - before).toBeLessThanOrEqual(6);
    ca.decide = () => issues;
    await world.untilClosed();
    expect(outcomes()).toEqual(devices.map(() => 'delivered'));
    expect(late.map((each) => world.outcome(each))).toEqual(late.map(() => 'delivered'));
  });

  it('that never left is no reason to tell of it or to hold anything', async () => {
    const { world, ca, problem } = fleet(5, { idempotent: false });
    ca.decide = () => ({
      kind: 'fail',
      error: new ProvisioningError('ca-bad-answer', 'No token.', { unanswered: false }),
    });
    world.start();
    await world.pass(10 * minuteMs);
    expect(world.heardOf('orphan')).toEqual([]);
    expect(problem()).toBeUndefined();
  });
});
