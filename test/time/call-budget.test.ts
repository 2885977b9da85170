import { describe, expect, it } from 'vitest';
import { CallBudget, CallBudgetFullError } from '../../src/time/call-budget.ts';
import { SkippingClock } from '../support/skipping-clock.ts';

const never = new AbortController().signal;

describe('a call budget', () => {
  it('lets a burst through at once and then keeps the rate', async () => {
    const clock = new SkippingClock();
    const budget = new CallBudget({ requestsPerSecond: 10, burst: 3, clock });
    const start = clock.now();
    const at: number[] = [];
    await Promise.all(
      Array.from({ length: 8 }, () => budget.take(never).then(() => at.push(clock.now() - start))),
    );
    expect(at).toEqual([0, 0, 0, 100, 200, 300, 400, 500]);
  });

  it('keeps a rate of many a second', async () => {
    const clock = new SkippingClock();
    const budget = new CallBudget({ requestsPerSecond: 5_000, burst: 1, clock });
    const start = clock.now();
    await Promise.all(Array.from({ length: 5_001 }, () => budget.take(never)));
    expect(clock.now() - start).toBeGreaterThanOrEqual(1_000);
    expect(clock.now() - start).toBeLessThan(5_010);
  });

  it('fills up again in a quiet time, to no more than a burst', async () => {
    const clock = new SkippingClock();
    const budget = new CallBudget({ requestsPerSecond: 10, burst: 2, clock });
    await budget.take(never);
    await budget.take(never);
    clock.ms += 60_000;
    await Promise.all([budget.take(never), budget.take(never), budget.take(never)]);
    expect(clock.slept).toEqual([100]);
  });

  it('serves those who wait in their order, before those who come later', async () => {
    const clock = new SkippingClock();
    const budget = new CallBudget({ requestsPerSecond: 1, burst: 1, clock });
    const order: string[] = [];
    await budget.take(never);
    const waiting = ['a', 'b'].map((name) => budget.take(never).then(() => order.push(name)));
    clock.ms += 1_000;
    const late = budget.take(never).then(() => order.push('late'));
    await Promise.all([...waiting, late]);
    expect(order).toEqual(['a', 'b', 'late']);
  });

  it('takes no place for one who gives up', async () => {
    const clock = new SkippingClock();
    const budget = new CallBudget({ requestsPerSecond: 1, burst: 1, clock });
    await budget.take(never);
    const leaving = new AbortController();
    const left = budget.take(leaving.signal);
    leaving.abort(new Error('enough'));
    const stayed = budget.take(never);
    await expect(left).rejects.toThrow('enough');
    await stayed;
    expect(clock.slept).toEqual([1_000]);
    await expect(budget.take(AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
  });

  it('turns away more waiting callers than it has room for', async () => {
    const clock = new SkippingClock();
    const budget = new CallBudget({ requestsPerSecond: 2, burst: 1, queueLimit: 2, clock });
    await budget.take(never);
    const waiting = [budget.take(never), budget.take(never)];
    const error = await budget.take(never).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CallBudgetFullError);
    expect(error).toMatchObject({ retryAfterMs: 1_000 });
    await Promise.all(waiting);
  });

  it('gives nothing when the clock is set back', async () => {
    const clock = new SkippingClock();
    const budget = new CallBudget({ requestsPerSecond: 10, burst: 1, clock });
    await budget.take(never);
    clock.ms -= 5_000;
    await budget.take(never);
    expect(clock.slept).toEqual([100]);
  });
});
