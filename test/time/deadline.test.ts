import { describe, expect, it } from 'vitest';
import { DeadlineError, withDeadline } from '../../src/time/deadline.ts';
import { ScheduledClock } from '../support/scheduled-clock.ts';

const never = new AbortController().signal;
const forever = () => new Promise<never>(() => undefined);

describe('withDeadline', () => {
  it('gives the result, and the error, of work that ends in time', async () => {
    const clock = new ScheduledClock();
    expect(await withDeadline(clock, 10, never, async () => 'done')).toBe('done');
    const failing = withDeadline(clock, 10, never, async () => {
      throw new Error('failed');
    });
    await expect(failing).rejects.toThrow('failed');
  });

  it('ends work that does not listen, and tells it why', async () => {
    const clock = new ScheduledClock();
    let inner: AbortSignal | undefined;
    const work = withDeadline(clock, 2_000, never, (signal) => {
      inner = signal;
      return forever();
    });
    const ended = expect(work).rejects.toThrow(new DeadlineError('No answer within 2 seconds.'));
    await clock.advance(1_999);
    expect(inner?.aborted).toBe(false);
    await clock.advance(1);
    await ended;
    expect(inner?.reason).toBeInstanceOf(DeadlineError);
  });

  it('ends with the outer signal’s reason', async () => {
    const stop = new AbortController();
    const work = withDeadline(new ScheduledClock(), 2_000, stop.signal, forever);
    const reason = new Error('stop');
    stop.abort(reason);
    await expect(work).rejects.toBe(reason);
  });

  it('does not begin for a signal that is aborted already', async () => {
    let begun = false;
    const work = withDeadline(new ScheduledClock(), 2_000, AbortSignal.abort('over'), async () => {
      begun = true;
    });
    await expect(work).rejects.toBe('over');
    expect(begun).toBe(false);
  });
});
