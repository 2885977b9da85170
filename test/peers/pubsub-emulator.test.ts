import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type EventMap, Events } from '../../src/events/events.ts';
import type { Delivery } from '../../src/notification/inbox.ts';
import { decodeNotification } from '../../src/notification/notification.ts';
import { PubsubInbox } from '../../src/notification/pubsub-inbox.ts';
import { systemClock } from '../../src/time/clock.ts';
import { requirePeer } from '../support/peer.ts';
import { emulatorIsThere, howToGetEmulator, PubsubEmulator } from './pubsub-emulator.ts';

const there = await requirePeer('Google’s Pub/Sub emulator', emulatorIsThere, howToGetEmulator);

const json = (id: string) => Buffer.from(JSON.stringify({ certificateProvisioningProcessId: id }));
const protobuf = (id: string) =>
  Buffer.concat([Buffer.from([0x0a, id.length]), Buffer.from(id), Buffer.from('\x12\x02C0')]);

describe.skipIf(!there)('the inbox on Google’s Pub/Sub emulator', () => {
  let emulator: PubsubEmulator;
  let number = 0;
  let topic: string;
  let subscription: string;

  beforeAll(async () => {
    emulator = await PubsubEmulator.start();
  });

  afterAll(async () => {
    await emulator.stop();
  });

  beforeEach(async () => {
    number += 1;
    topic = `topic-${number}`;
    subscription = `subscription-${number}`;
    await emulator.createTopic(topic);
  });

  let open: Reader[] = [];
  afterEach(async () => {
    for (const reader of open) await reader.stop();
    open = [];
  });

  function read(options: { readonly maxOutstanding?: number } = {}): Reader {
    const reader = new Reader(emulator, subscription, options.maxOutstanding);
    open.push(reader);
    return reader;
  }

  it('reads binary and JSON notifications and acknowledges them', async () => {
    await emulator.createSubscription(subscription, topic);
    const reader = read();
    await emulator.publish(topic, protobuf('binary'), json('text'));
    const deliveries = [await reader.next(), await reader.next()];
    const ids = deliveries.map(({ body }) => decodeNotification(body).processId);
    expect(ids.toSorted()).toEqual(['binary', 'text']);
    expect(deliveries[0]?.attempt).toBe(1);
    for (const delivery of deliveries) delivery.acknowledge();
    await reader.stop();
    const again = read();
    await emulator.publish(topic, json('next'));
    const next = await again.next();
    expect(decodeNotification(next.body).processId).toBe('next');
    next.acknowledge();
    expect(reader.events).toEqual([{ up: true }]);
  });

  it('gets a released message again', async () => {
    await emulator.createSubscription(subscription, topic);
    const reader = read();
    await emulator.publish(topic, json('again'));
    (await reader.next()).release();
    const second = await reader.next();
    expect(decodeNotification(second.body).processId).toBe('again');
    second.acknowledge();
    second.release();
    second.acknowledge();
  });

  it('leaves to the next reader what was not acknowledged', async () => {
    await emulator.createSubscription(subscription, topic);
    const first = read({ maxOutstanding: 3 });
    await emulator.publish(topic, ...['a', 'b', 'c', 'd', 'e'].map(json));
    const kept = await first.next();
    const id = decodeNotification(kept.body).processId;
    kept.acknowledge();
    await first.stop();
    const second = read();
    const rest: string[] = [];
    while (rest.length < 4) {
      const delivery = await second.next();
      rest.push(decodeNotification(delivery.body).processId);
      delivery.acknowledge();
    }
    expect([...rest, id].toSorted()).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('waits at the end for a delivery that is being written down', async () => {
    await emulator.createSubscription(subscription, topic);
    const reader = read();
    await emulator.publish(topic, json('slow'));
    const slow = await reader.next();
    const stopped = reader.stop();
    slow.acknowledge();
    await stopped;
    await emulator.publish(topic, json('next'));
    const next = await read().next();
    expect(decodeNotification(next.body).processId).toBe('next');
    next.acknowledge();
  });

  it('keeps no more than maxOutstanding messages', async () => {
    await emulator.createSubscription(subscription, topic);
    await emulator.publish(topic, ...Array.from({ length: 50 }, (_, index) => json(`p${index}`)));
    const reader = read({ maxOutstanding: 5 });
    const held: Delivery[] = [];
    for (let taken = 0; taken < 5; taken += 1) held.push(await reader.next());
    await expect(reader.next(1_000)).rejects.toThrow(/no delivery/);
    for (const delivery of held) delivery.acknowledge();
    const seen = new Set(held.map(({ body }) => decodeNotification(body).processId));
    while (seen.size < 50) {
      const delivery = await reader.next();
      seen.add(decodeNotification(delivery.body).processId);
      delivery.acknowledge();
    }
  });

  it('names a missing subscription and reads it once it was created', async () => {
    const reader = read();
    expect(await reader.event()).toEqual({
      up: false,
      problem: expect.stringMatching(
        new RegExp(
          `${subscription} does not exist. Create it \\(gcloud pubsub subscriptions create`,
        ),
      ),
    });
    await emulator.createSubscription(subscription, topic);
    await emulator.publish(topic, json('late'));
    const delivery = await reader.next();
    expect(decodeNotification(delivery.body).processId).toBe('late');
    delivery.acknowledge();
    expect(reader.events.at(-1)).toEqual({ up: true });
  });

  it('reads on after the emulator was restarted in mid-stream', async () => {
    await emulator.createSubscription(subscription, topic);
    const reader = read();
    await emulator.publish(topic, json('before'));
    (await reader.next()).acknowledge();
    await emulator.stop();
    await emulator.start();
    await emulator.createTopic(topic);
    await emulator.createSubscription(subscription, topic);
    await emulator.publish(topic, json('after'));
    const delivery = await reader.next();
    expect(decodeNotification(delivery.body).processId).toBe('after');
    delivery.acknowledge();
  });

  it('says when nobody answers, and stops at once all the same', async () => {
    await emulator.stop();
    const reader = read();
    expect(await reader.event()).toEqual({
      up: false,
      problem: expect.stringMatching(/cannot be reached/),
    });
    const before = performance.now();
    await reader.stop();
    expect(performance.now() - before).toBeLessThan(2_000);
    await emulator.start();
  });
});

/** Reads an inbox, one delivery at a time. */
class Reader {
  readonly events: EventMap['inbox'][] = [];
  readonly #events = new Events();
  readonly #stop = new AbortController();
  readonly #inbox: PubsubInbox;
  readonly #iterator: AsyncIterator<Delivery>;
  #next: Promise<IteratorResult<Delivery>> | undefined;

  constructor(emulator: PubsubEmulator, subscription: string, maxOutstanding = 500) {
    this.#events.on('inbox', (event) => this.events.push(event));
    this.#inbox = new PubsubInbox({
      project: emulator.project,
      subscription,
      endpoint: emulator.host,
      credentials: 'application-default',
      maxOutstanding,
      events: this.#events,
      clock: systemClock,
      random: Math.random,
    });
    this.#iterator = this.#inbox.deliveries(this.#stop.signal)[Symbol.asyncIterator]();
    this.#next = this.#iterator.next();
  }

  async next(withinMs = 60_000): Promise<Delivery> {
    this.#next ??= this.#iterator.next();
    const timer = AbortSignal.timeout(withinMs);
    const late = once(timer, 'abort').then(() => {
      throw new Error(`no delivery within ${withinMs} ms`);
    });
    const result = await Promise.race([this.#next, late]);
    this.#next = undefined;
    if (result.done === true) throw new Error('the deliveries have ended');
    return result.value;
  }

  async event(): Promise<EventMap['inbox']> {
    if (this.events.length === 0) await once(this.#events, 'inbox');
    return this.events[0]!;
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('stopped'));
    await (this.#next ?? this.#iterator.next());
    await this.#inbox[Symbol.asyncDispose]();
  }
}
