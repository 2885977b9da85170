import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Events } from '../../src/events/events.ts';
import { keepWatching } from '../../src/watch/keep-watching.ts';
import { ManualClock } from '../support/manual-clock.ts';

it('begins a watch anew that ended with an error that nobody foresaw, and tells of it', async () => {
  const clock = new ManualClock();
  const events = new Events();
  const told: unknown[] = [];
  events.on('bug', ({ error }) => told.push(error));
  const odd = new TypeError('of a library');
  let times = 0;
  const stop = new AbortController();
  const { signal } = stop;
  const watch = async () => {
    times += 1;
    if (times === 1) throw odd;
    await clock.sleep(60_000, signal).catch(() => undefined);
  };
  const watching = keepWatching(watch, { clock, events }, signal);
  for (let turn = 0; turn < 3; turn += 1) {
    await setImmediate();
    clock.advance(10_000);
  }
  expect(told).toEqual([odd]);
  expect(times).toBe(2);
  stop.abort();
  await watching;
});
