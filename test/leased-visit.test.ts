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
  return { clock, visit, inner, saves: () => saves };
}

const down = () => new JournalError('The server is shutting down.');

describe('a visit’s lease', () => {
  it('is renewed when a third of it is used up, and not before', async () => {
    const { clock, visit, saves } = await visitOf([]);
    await visit.renew();
    expect(saves()).toBe(0);
    clock.advance(leaseMs / 3 + 1);
    await visit.renew();
    expect(saves()).toBe(1);
    clock.advance(leaseMs - 2_500);
    expect(() => visit.guard()).not.toThrow();
    await visit[Symbol.asyncDispose]();
  });

  it('is in doubt while the journal fails, and the visit goes on when it works again', async () => {
    const { clock, visit, saves } = await visitOf([down(), down(), down()]);
    for (let beat = 1; beat <= 3; beat += 1) {
      clock.advance(leaseMs / 3 + 1);
      await visit.renew();
      expect(saves()).toBe(beat);
    }
    expect(visit.signal.aborted).toBe(false);
    expect(() => visit.guard()).toThrow(LeaseLostError);
    await visit.renew();
    expect(() => visit.guard()).not.toThrow();
    await visit[Symbol.asyncDispose]();
  });

  it('ends with the visit when the process was taken over', async () => {
    const { clock, visit } = await visitOf([new LeaseLostError('p')]);
    clock.advance(leaseMs / 3 + 1);
    await visit.renew();
    expect(visit.signal.reason).toBeInstanceOf(LeaseLostError);
    await visit[Symbol.asyncDispose]();
  });
});

describe('a write that fails', () => {
  it('is repeated after a pause in which nothing late can arrive, and then the visit is over', async () => {
    const { clock, visit, saves, inner } = await visitOf([down(), down()]);
    const record = { csr: 'AA==' };
    const saving = visit.save(record);
    for (let pauses = 0; pauses < 2; pauses += 1) {
      await expect.poll(() => clock.sleeping).toBe(1);
      clock.advance(10_000);
    }
    await expect(saving).rejects.toThrow('shutting down');
    expect(saves()).toBe(3);
    expect(visit.signal.aborted).toBe(true);
    const [again] = await inner.takeDue('b', 1, leaseMs, never);
    expect(again?.record).toEqual(record);
    await visit[Symbol.asyncDispose]();
  });
});
