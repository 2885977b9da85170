import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Agenda } from '../../simulator/agenda.ts';
import { Faults } from '../../simulator/faults.ts';
import { PubsubBroker } from '../../simulator/pubsub-broker.ts';
import { PubsubServer } from '../../simulator/pubsub-server.ts';
import { type EventMap, Events } from '../../src/events/events.ts';
import type { Delivery } from '../../src/notification/inbox.ts';
import { PubsubInbox, type PubsubInboxOptions } from '../../src/notification/pubsub-inbox.ts';
import { type Clock, systemClock } from '../../src/time/clock.ts';
import { SkippingClock } from '../support/skipping-clock.ts';

const topic = 'projects/proj/topics/topic';
const subscription = 'projects/proj/subscriptions/sub';

describe('the Pub/Sub inbox', () => {
  let server: PubsubServer;
  let broker: PubsubBroker;
  let agenda: Agenda;
  let faults: Faults;
  let endpoint: string;
  let stop: AbortController;
  let events: Events;
  let told: EventMap['inbox'][];

  beforeEach(async () => {
    faults = new Faults(1, 0);
    agenda = new Agenda(systemClock, (error) => {
      throw error;
    });
    broker = new PubsubBroker({ agenda, faults, now: Date.now });
    broker.createTopic(topic);
    server = new PubsubServer(broker, faults, (ms, act) => agenda.after(ms, act));
    endpoint = `127.0.0.1:${await server.listen('127.0.0.1', 0)}`;
    stop = new AbortController();
    events = new Events();
    told = [];
    events.on('inbox', (event) => told.push(event));
  });

  afterEach(async () => {
    stop.abort(new Error('the test is over'));
    await server[Symbol.asyncDispose]();
    agenda[Symbol.dispose]();
    vi.useRealTimers();
  });

  function open(changes: Partial<PubsubInboxOptions> = {}): AsyncIterator<Delivery> {
    const inbox = new PubsubInbox({
      project: 'proj',
      subscription: 'sub',
      endpoint,
      credentials: 'none',
      events,
      clock: new SkippingClock(),
      random: () => 0.5,
      ...changes,
    });
    return inbox.deliveries(stop.signal)[Symbol.asyncIterator]();
  }

  function publish(...texts: readonly string[]): void {
    broker.publish(
      topic,
      texts.map((text) => ({ data: Buffer.from(text), attributes: {} })),
    );
  }

  async function nextOf(deliveries: AsyncIterator<Delivery>): Promise<Delivery> {
    const result = await deliveries.next();
    if (result.done === true) throw new Error('the deliveries have ended');
    return result.value;
  }

  const textOf = ({ body }: Delivery) => Buffer.from(body).toString();

  it('hands out messages, forgets acknowledged ones and gets released ones again', async () => {
    broker.createSubscription(subscription, topic, 10);
    const deliveries = open();
    publish('one');
    const one = await nextOf(deliveries);
    expect([textOf(one), one.attempt]).toEqual(['one', 1]);
    one.release();
    const again = await nextOf(deliveries);
    expect(textOf(again)).toBe('one');
    again.acknowledge();
    again.release();
    publish('two');
    const two = await nextOf(deliveries);
    expect(textOf(two)).toBe('two');
    two.acknowledge();
    expect(told).toEqual([{ up: true }]);
  });

  it('goes on after the stream was broken', async () => {
    broker.createSubscription(subscription, topic, 10);
    const deliveries = open();
    publish('before');
    (await nextOf(deliveries)).acknowledge();
    server.breakStreams();
    publish('after');
    const after = await nextOf(deliveries);
    expect(textOf(after)).toBe('after');
    after.acknowledge();
    expect(told).toEqual([{ up: true }]);
  });

  it('names a missing permission, and reads on by itself when it was granted', async () => {
    broker.createSubscription(subscription, topic, 10);
    faults.set({ pubsubAccess: 'denied' });
    const paused = new PausingClock();
    const deliveries = open({ clock: paused });
    publish('one');
    const first = nextOf(deliveries);
    await once(events, 'inbox');
    expect(told).toEqual([
      { up: false, problem: expect.stringContaining('roles/pubsub.subscriber') },
    ]);
    faults.set({ pubsubAccess: 'granted' });
    paused.goOn();
    const one = await first;
    expect(textOf(one)).toBe('one');
    one.acknowledge();
    expect(told.at(-1)).toEqual({ up: true });
  });

  it('knows that a subscription without messages is there as soon as Pub/Sub answers', async () => {
    broker.createSubscription(subscription, topic, 10);
    const deliveries = open();
    // Time stands still: silence alone never makes a stream one that stands.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const end = deliveries.next();
    await once(events, 'inbox');
    vi.useRealTimers();
    expect(told).toEqual([{ up: true }]);
    stop.abort(new Error('enough'));
    expect(await end).toMatchObject({ done: true });
  });

  it('believes after three seconds that a stream stands on which no ping is answered', async () => {
    broker.createSubscription(subscription, topic, 10);
    faults.set({ pubsubPings: 'ignored' });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const deliveries = open();
    const end = deliveries.next();
    await vi.advanceTimersByTimeAsync(2_900);
    expect(told).toEqual([]);
    await vi.advanceTimersByTimeAsync(200);
    expect(told).toEqual([{ up: true }]);
    vi.useRealTimers();
    stop.abort(new Error('enough'));
    expect(await end).toMatchObject({ done: true });
  });

  it('tells a lasting problem once', async () => {
    const clock = new SkippingClock();
    const deliveries = open({ clock });
    const end = deliveries.next();
    await expect.poll(() => clock.slept.length, { timeout: 10_000 }).toBeGreaterThan(3);
    expect(told.length).toBe(1);
    expect(clock.slept.slice(0, 3)).toEqual([750, 1_500, 3_000]);
    stop.abort(new Error('enough'));
    expect(await end).toMatchObject({ done: true });
  });

  it('gives back at the end what nobody took, and waits for what somebody has in hand', async () => {
    broker.createSubscription(subscription, topic, 10);
    const first = open();
    publish('one', 'two', 'three');
    const one = await nextOf(first);
    stop.abort(new Error('stopped'));
    const end = first.next();
    one.acknowledge();
    expect(await end).toMatchObject({ done: true });
    stop = new AbortController();
    const second = open();
    const rest = [await nextOf(second), await nextOf(second)];
    for (const delivery of rest) delivery.acknowledge();
    const all = [one, ...rest].map(textOf);
    expect(all.toSorted()).toEqual(['one', 'three', 'two']);
  });

  it('does not wait for ever for a delivery that nobody settles', async () => {
    broker.createSubscription(subscription, topic, 10);
    const deliveries = open({ closeWithinMs: 1_100 });
    publish('one');
    const one = await nextOf(deliveries);
    stop.abort(new Error('stopped'));
    expect(await deliveries.next()).toMatchObject({ done: true });
    one.acknowledge();
    one.release();
  });

  it('says that Google’s own Pub/Sub wants credentials', async () => {
    const deliveries = open({ endpoint: 'pubsub.googleapis.com' });
    const end = deliveries.next();
    await once(events, 'inbox');
    expect(told).toEqual([
      { up: false, problem: expect.stringMatching(/google\.credentials is none/) },
    ]);
    stop.abort(new Error('enough'));
    await end;
  });
});

/** A clock whose sleeps last until it is told to go on. */
class PausingClock implements Clock {
  #goOn: () => void = () => undefined;
  readonly #gone = new Promise<void>((resolve) => {
    this.#goOn = resolve;
  });

  now(): number {
    return 0;
  }

  sleep(): Promise<void> {
    return this.#gone;
  }

  goOn(): void {
    this.#goOn();
  }
}
