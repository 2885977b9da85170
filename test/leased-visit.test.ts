import { describe, expect, it } from 'vitest';
import { type Journal, JournalError, LeaseLostError } from '../src/journal/journal.ts';
import { MemoryJournal } from '../src/journal/memory-journal.ts';
import { LeasedVisit } from '../src/leased-visit.ts';
import { ManualClock } from './adapters/manual-clock.ts';

const never = new AbortController().signal;
const leaseMs = 30_000;

async function visitOf(failures: Error[]) {
  const clock = new ManualClock();
  const inner = new MemoryJournal(clock);
  await inner.open({ customer: 'C1', processId: 'p' }, never);
  const [leased] = await inner.takeDue('a', 1, leaseMs, never);
  if (leased === undefined) throw new Error('Nothing was due.');
  let saves = 0;
  const journal = Object.assign(Object.create(inner), {
    save: async (...args: Parameters<Journal['save']>) => {
      saves += 1;
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      return inner.save(...args);
    },
  });
  const visit = new LeasedVisit({ journal, leased, leaseMs, takenAt: clock.now(), clock }, never);
  return { clock, visit, saves: () => saves };
}

describe('the heartbeat of a visit', () => {
  it('goes on after a journal that failed for a while, and the lease is in doubt meanwhile', async () => {
    const down = () => new JournalError('The server is shutting down.');
    const { clock, visit, saves } = await visitOf([down(), down(), down()]);
    for (let beat = 1; beat <= 3; beat += 1) {
      await expect.poll(() => clock.sleeping).toBe(1);
      clock.advance(leaseMs / 3 + 1);
      await expect.poll(saves).toBe(beat);
    }
    expect(visit.signal.aborted).toBe(false);
    expect(() => visit.guard()).toThrow(LeaseLostError);
    await expect.poll(() => clock.sleeping).toBe(1);
    clock.advance(leaseMs / 3);
    await expect.poll(saves).toBe(4);
    await expect.poll(() => clock.sleeping).toBe(1);
    expect(() => visit.guard()).not.toThrow();
    await visit[Symbol.asyncDispose]();
  });

  it('ends the visit when the process was taken over', async () => {
    const { clock, visit } = await visitOf([new LeaseLostError('p')]);
    clock.advance(leaseMs / 3 + 1);
    await expect.poll(() => visit.signal.aborted).toBe(true);
    expect(visit.signal.reason).toBeInstanceOf(LeaseLostError);
    await visit[Symbol.asyncDispose]();
  });
});
