import { describe, expect, it } from 'vitest';
import type { Decision } from '../../simulator/world/ca.ts';
import type { Cut } from '../../simulator/world/certificates.ts';
import { Observer } from '../../simulator/world/invariants.ts';
import { hourMs } from '../../simulator/world/scheduler.ts';
import { World, type WorldOptions } from '../../simulator/world/world.ts';
import { errorTable } from '../../src/error-table.ts';
import { makeCa } from '../support/test-certificates.ts';

type Decide = (turn: number, now: number) => Decision;

/** One device and one CA that decides so. */
function worldWith(decide: Decide, options: WorldOptions = {}) {
  const world: World = new World({
    ...options,
    cas: {
      default_ca_config: { decide: (_order, turn) => decide(turn, world.now) },
    },
  });
  const observer = new Observer(world);
  const process = world.add();
  world.start();
  return { world, process, observer };
}

describe('a certificate that must not be uploaded', () => {
  const cuts: readonly (readonly [Cut, string])[] = [
    ['other-key', 'certificate-wrong-key'],
    ['is-ca', 'certificate-is-ca'],
    ['expired', 'certificate-not-valid-now'],
    ['short', 'certificate-too-short'],
    ['wrong-names', 'certificate-wrong-names'],
    ['garbage', 'certificate-unreadable'],
    ['chain-first', 'certificate-wrong-key'],
  ];
  it.each(cuts)(
    '(%s) is held, ordered anew at most three times, revoked, and then refused as %s',
    async (cut, code) => {
      const { world, process, observer } = worldWith(() => ({ kind: 'issue', cut }), {
        proven: true,
      });
      await world.untilClosed();
      if (cut !== 'chain-first') expect(observer.finish()).toEqual([]);
      // A chain in the wrong order may be read as the CA's own certificate, too.
      const codes = cut === 'chain-first' ? [code, 'certificate-is-ca'] : [code];
      expect(codes.map((each) => `refused ${each}`)).toContain(world.outcome(process));
      expect(process.calls.uploadCertificate).toBe(0);
      const { ledger } = world.ca();
      expect(new Set(ledger.map(({ requestId }) => requestId)).size).toBe(3);
      // A chain in the wrong order leads with the CA's own certificate, which nobody must revoke.
      const revoked = ledger.filter(({ revokedAt }) => revokedAt !== undefined);
      expect(revoked).toHaveLength(cut === 'chain-first' ? 0 : 3);
      const orphans = world.heardOf('orphan').map(({ revoked: done }) => done);
      expect(orphans).toEqual([1, 2, 3].map(() => cut !== 'chain-first'));
      expect(process.failureMessage).toContain(errorTable['certificate-is-ca'].deviceText);
      const spentMs = world.now - process.startedAtMs;
      expect(spentMs).toBeGreaterThan(3 * 15 * 60_000);
      expect(spentMs).toBeLessThan(2 * hourMs);
    },
  );

  it('costs nothing when the CA does it right the second time', async () => {
    let bad = 1;
    const { world, process, observer } = worldWith(() =>
      bad-- > 0 ? { kind: 'issue', cut: 'wrong-names' } : { kind: 'issue' },
    );
    await world.untilClosed();
    expect(observer.finish()).toEqual([]);
    expect(world.outcome(process)).toBe('delivered');
    expect(world.ca().ledger.map(({ revokedAt }) => revokedAt === undefined)).toEqual([
      false,
      true,
    ]);
  });

  it('is uploaded when a corrected configuration accepts it', async () => {
    const world = new World();
    const process = world.add();
    const other = await makeCa();
    world.roots = [other.der];
    const wrong = world.start();
    await world.until(() => world.heardOf('trouble').length > 0);
    expect(world.heardOf('trouble')).toMatchObject([{ code: 'certificate-untrusted' }]);
    wrong.stop.abort();
    world.roots = [world.ca().root];
    world.start();
    await world.untilClosed();
    expect(world.outcome(process)).toBe('delivered');
    expect(world.ca().ledger).toHaveLength(1);
  });
});

describe('a CA that takes its time', () => {
  it('for two days ends with the certificate', async () => {
    const begin = new World().now;
    const { world, process, observer } = worldWith((_turn, now) =>
      now < begin + 48 * hourMs ? { kind: 'pending', pollAfterMs: 600_000 } : { kind: 'issue' },
    );
    await world.untilClosed(80 * hourMs);
    expect(observer.finish()).toEqual([]);
    expect(world.outcome(process)).toBe('delivered');
    // Every ten minutes, and not more often.
    expect(world.ca().requests.length).toBeLessThanOrEqual(48 * 6 + 2);
  });

  it('for ever ends as ca-undecided', async () => {
    const { world, process } = worldWith(() => ({ kind: 'pending', pollAfterMs: 600_000 }));
    await world.untilClosed(80 * hourMs);
    expect(world.outcome(process)).toBe('refused ca-undecided');
  });

  it('and then says no ends as ca-rejected', async () => {
    const decide: Decide = (turn) =>
      turn < 3 ? { kind: 'pending', pollAfterMs: 60_000 } : { kind: 'reject' };
    const { world, process } = worldWith(decide, { proven: true });
    await world.untilClosed();
    expect(world.outcome(process)).toBe('refused ca-rejected');
  });
});

describe('a CA that is down', () => {
  it('for a day refuses nobody, and the other CA’s devices notice nothing', async () => {
    const requestsPerSecond = 2;
    const world = new World({
      requestsPerSecond,
      concurrency: 4,
      visits: 40,
      cas: { default_ca_config: {}, other: {} },
    });
    const observer = new Observer(world);
    const ca = world.ca();
    ca.up = false;
    const waiting = Array.from({ length: 20 }, () => world.add({}, 1, 500));
    world.start();
    await world.pass(12 * hourMs);
    const others = Array.from({ length: 5 }, () => world.add({ caConnection: 'other' }));
    const before = world.now;
    await world.until(() => others.every(({ accepted }) => accepted), hourMs);
    expect(world.now - before).toBeLessThan(60_000);
    await world.pass(12 * hourMs);
    expect(waiting.map((process) => world.outcome(process))).not.toContain('refused');
    // Only check() knocks: about every ten seconds.
    expect(ca.calls.length).toBeLessThan((24 * 3_600) / 7);
    ca.calls.length = 0;
    ca.up = true;
    const recoveredAt = world.now;
    await world.untilClosed();
    expect(observer.finish()).toEqual([]);
    expect(waiting.map((process) => world.outcome(process))).toEqual(
      waiting.map(() => 'delivered'),
    );
    expect(world.now - recoveredAt).toBeLessThan(5 * 60_000);
    expect(mostInASecond(ca.calls.map(({ at }) => at))).toBeLessThanOrEqual(requestsPerSecond);
  }, 60_000);

  it('beyond the issuing deadline ends as ca-unavailable', async () => {
    const world = new World({ issuingHours: 2 });
    const process = world.add();
    world.ca().up = false;
    world.start();
    await world.untilClosed();
    expect(world.outcome(process)).toBe('refused ca-unavailable');
    expect((world.now - process.startedAtMs) / hourMs).toBeCloseTo(2, 0);
  });
});

function mostInASecond(times: readonly number[]): number {
  return Math.max(
    0,
    ...times.map((from) => times.filter((at) => at >= from && at < from + 1_000).length),
  );
}

describe('an authority', () => {
  it('that left the configuration keeps its processes open until it is back', async () => {
    const { world, process, observer } = worldWith((turn) =>
      turn < 2 ? { kind: 'pending', pollAfterMs: 60_000 } : { kind: 'issue' },
    );
    await world.until(() => world.ca().requests.length === 1);
    await world.pass(1_000);
    world.instances[0]?.life.die();
    world.missing.add('default_ca_config');
    const without = world.start();
    await world.pass(5 * hourMs);
    expect(world.outcome(process)).toBe('open');
    expect(world.heardOf('trouble').at(-1)).toMatchObject({ code: 'ca-misconfigured' });
    without.life.die();
    world.missing.clear();
    world.start();
    await world.untilClosed();
    expect(observer.finish()).toEqual([]);
    expect(world.outcome(process)).toBe('delivered');
  });

  it('whose adapter has a bug never ends the worker', async () => {
    const world = new World();
    const process = world.add();
    let bugs = 3;
    const instance = world.start((ca) => ({
      ...ca,
      [Symbol.asyncDispose]: () => Promise.resolve(),
      issue: (request, signal) => {
        if (bugs-- <= 0) return ca.issue(request, signal);
        throw new TypeError('undefined is not a function');
      },
    }));
    await world.untilClosed();
    expect(world.outcome(process)).toBe('delivered');
    expect(world.heardOf('bug')).toHaveLength(3);
    expect(instance.ended).toBeUndefined();
  });
});
