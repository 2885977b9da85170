import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Events } from '../../src/events/events.ts';
import { JournalError } from '../../src/journal/journal.ts';
import { watchJournal } from '../../src/journal/journal-watch.ts';
import { MemoryJournal } from '../../src/journal/memory-journal.ts';
import { ManualClock } from '../support/manual-clock.ts';

describe('watchJournal', () => {
  it('tells within seconds of a journal that hangs, that fails, and that works again', async () => {
    const clock = new ManualClock();
    const events = new Events();
    const told: unknown[] = [];
    events.on('journal', (state) => told.push(state));
    let probe: () => Promise<void> = async () => undefined;
    const journal = Object.assign(new MemoryJournal(clock), { probe: () => probe() });
    const stop = new AbortController();
    const watch = watchJournal({ journal, clock, events }, stop.signal);
    const pass = async (ms: number) => {
      await setImmediate();
      clock.advance(ms);
      await setImmediate();
    };

    const hanging = Promise.withResolvers<void>();
    probe = () => hanging.promise;
    await pass(5_000);
    expect(told).toEqual([]);
    await pass(3_000);
    expect(told).toEqual([{ up: false, problem: expect.stringMatching(/not answered for 3 s/) }]);
    hanging.reject(new JournalError('given up'));
    probe = async () => undefined;
    await pass(5_000);
    expect(told.at(-1)).toEqual({ up: true });

    probe = async () => {
      throw new JournalError('the disk is full');
    };
    await pass(5_000);
    await pass(5_000);
    expect(told.slice(2)).toEqual([{ up: false, problem: 'the disk is full' }]);
    stop.abort();
    await watch;
  });
});
