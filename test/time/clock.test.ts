import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/time/clock.ts';

describe('the system clock', () => {
  it('rejects with the signal’s own reason, before and during the wait', async () => {
    const reason = new Error('enough');
    await expect(systemClock.sleep(60_000, AbortSignal.abort(reason))).rejects.toBe(reason);
    const controller = new AbortController();
    const waiting = systemClock.sleep(60_000, controller.signal);
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
  });

  it('takes what is in the past as now', async () => {
    await systemClock.sleep(-5);
    await systemClock.sleep(0, new AbortController().signal);
  });

  it('does not take a month for nothing, as setTimeout does', async () => {
    const controller = new AbortController();
    const waiting = systemClock.sleep(40 * 86_400_000, controller.signal);
    const first = await Promise.race([
      waiting.then(() => 'the month'),
      systemClock.sleep(20).then(() => 'twenty milliseconds'),
    ]);
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    expect(first).toBe('twenty milliseconds');
  });
});
