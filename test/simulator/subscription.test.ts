import { expect, it } from 'vitest';
import { Agenda } from '../../simulator/agenda.ts';
import { Faults } from '../../simulator/faults.ts';
import { Subscription } from '../../simulator/subscription.ts';
import { VirtualClock } from './virtual-clock.ts';

function subscription(): { clock: VirtualClock; queue: Subscription } {
  const clock = new VirtualClock();
  const agenda = new Agenda(clock, (error) => {
    throw error;
  });
  const parts = { agenda, faults: new Faults(1, 0), now: () => clock.now() };
  const queue = new Subscription('projects/p/subscriptions/s', 'projects/p/topics/t', 10, parts);
  queue.publish({ index: 0, data: Buffer.from('x'), attributes: {}, publishedAtMs: 0 });
  return { clock, queue };
}

it('delivers again what was not acknowledged before its deadline', async () => {
  const { clock, queue } = subscription();
  expect(queue.pull(5).map((handed) => handed.attempt)).toEqual([1]);
  await clock.advance(9_000);
  expect(queue.pull(5)).toEqual([]);
  await clock.advance(1_500);
  expect(queue.pull(5).map((handed) => handed.attempt)).toEqual([2]);
});

it('keeps a lease that is extended, and ends it with the acknowledgement', async () => {
  const { clock, queue } = subscription();
  const [handed] = queue.pull(1);
  await clock.advance(9_000);
  queue.modifyDeadline([handed!.ackId], 60);
  await clock.advance(50_000);
  expect(queue.counts()).toEqual({ waiting: 0, out: 1 });
  queue.acknowledge([handed!.ackId]);
  await clock.advance(120_000);
  expect(queue.counts()).toEqual({ waiting: 0, out: 0 });
});

it('ignores acknowledgements of leases that have ended', () => {
  const { queue } = subscription();
  const [handed] = queue.pull(1);
  queue.modifyDeadline([handed!.ackId], 0);
  queue.acknowledge([handed!.ackId, 'unknown']);
  expect(queue.counts()).toEqual({ waiting: 1, out: 0 });
});
