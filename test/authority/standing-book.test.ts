import { describe, expect, it } from 'vitest';
import { markOf, refusalGuard } from '../../simulator/world/refusal-guard.ts';
import type { GuardedOrder } from '../../src/authority/guarded-order.ts';
import { freshStanding, proven } from '../../src/authority/standing.ts';
import { ProvisioningError } from '../../src/errors.ts';
import { ScheduledClock } from '../support/scheduled-clock.ts';

const minute = 60_000;

/** An authority whose answers to orders cannot be read. */
function unreadable(configuration: { text: string }, eachOrder: () => void) {
  const clock = new ScheduledClock();
  const guard = refusalGuard({
    clock,
    random: () => 0.5,
    mark: markOf(() => configuration.text),
  });
  const request = { subject: { kind: 'device' }, subjectPublicKeyInfo: new Uint8Array() };
  const order = { call: 'issue', profile: 'p', request } as unknown as GuardedOrder;
  let orders = 0;
  const place = async () => {
    await guard.look();
    await guard.enter(order);
    orders += 1;
    eachOrder();
    const unread = new ProvisioningError('ca-bad-answer', 'No PKCS#7.', { unanswered: true });
    await guard.judging(
      order,
      () => Promise.reject(unread),
      () => false,
    );
  };
  return {
    orders: () => orders,
    async pass(minutes: number): Promise<void> {
      for (let passed = 0; passed < minutes; passed += 1) {
        await place().catch(() => undefined);
        await clock.advance(minute);
      }
    },
  };
}

describe('the standing of an authority', () => {
  it('knows hundreds of profiles, so that none has to prove itself again and again', () => {
    const names = Array.from({ length: 500 }, (_, index) => `p${index}#0`);
    const all = names.reduce(proven, freshStanding('mark'));
    expect(names.every((name) => all.profiles[name]?.proven === true)).toBe(true);
    expect(proven(all, 'p0#0')).toBe(all);
  });

  it('is not begun anew by a file among its options that each order changes', async () => {
    const configuration = { text: 'serial 0' };
    const authority = unreadable(configuration, () => {
      configuration.text = `serial ${authority.orders()}`;
    });
    await authority.pass(60);
    // Sixty, one a minute, when each change was taken up.
    expect(authority.orders()).toBeLessThan(30);
    const first = authority.orders();
    await authority.pass(600);
    expect(authority.orders() - first).toBeLessThan(30);
  });

  it('is begun anew at once when it was corrected, and again soon after', async () => {
    const configuration = { text: 'wrong' };
    const authority = unreadable(configuration, () => undefined);
    for (const text of ['wrong', 'corrected', 'corrected again']) {
      configuration.text = text;
      const before = authority.orders();
      await authority.pass(3);
      expect(authority.orders() - before).toBe(2);
    }
  });
});
