import { expect, it } from 'vitest';
import { Agenda } from '../../simulator/agenda.ts';
import { chanceOf } from '../../simulator/chance.ts';
import { VirtualClock } from './virtual-clock.ts';

it('does everything in the order of its time, what is added meanwhile included', async () => {
  const clock = new VirtualClock();
  using agenda = new Agenda(clock, (error) => expect.unreachable(String(error)));
  const done: number[] = [];
  for (let index = 0; index < 500; index += 1) {
    const atMs = Math.floor(chanceOf(3, index, 0, 0) * 10_000);
    agenda.after(atMs, () => {
      done.push(clock.now());
      if (index % 10 === 0) agenda.after(5, () => done.push(clock.now()));
    });
  }
  await clock.advance(20_000);
  expect(done).toHaveLength(550);
  expect(done).toEqual(done.toSorted((one, other) => one - other));
});

it('goes on after an action that throws, and tells of it', async () => {
  const clock = new VirtualClock();
  const errors: unknown[] = [];
  using agenda = new Agenda(clock, (error) => errors.push(error));
  let later = false;
  agenda.after(1, () => {
    throw new Error('a bug');
  });
  agenda.after(2, () => {
    later = true;
  });
  await clock.advance(10);
  expect(later).toBe(true);
  expect(errors).toEqual([new Error('a bug')]);
});

it('does nothing more once it is closed', async () => {
  const clock = new VirtualClock();
  const agenda = new Agenda(clock, (error) => expect.unreachable(String(error)));
  agenda.after(1, () => expect.unreachable());
  agenda[Symbol.dispose]();
  agenda.after(1, () => expect.unreachable());
  await clock.advance(10);
});
