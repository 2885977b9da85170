import { PubSub } from '@google-cloud/pubsub';
import { PassThroughClient } from 'google-auth-library';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Simulator, SimulatorOptions } from '../../simulator/outside-world.ts';
import { startSimulator } from '../../simulator/simulator.ts';

let simulator: Simulator;
let client: PubSub;
const closing: (() => Promise<unknown>)[] = [];

async function start(options: SimulatorOptions = {}): Promise<void> {
  simulator = await startSimulator({ faults: 0, distinctKeys: { ec: 2 }, ...options });
  client = new PubSub({
    projectId: simulator.project,
    apiEndpoint: simulator.pubsubEndpoint,
    emulatorMode: true,
    // Without it the client looks for a metadata server.
    authClient: new PassThroughClient(),
  });
}

beforeEach(() => start());

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  await client.close();
  await simulator[Symbol.asyncDispose]();
});

interface Seen {
  readonly text: string;
  readonly attempt: number;
  readonly id: string;
}

/** Subscribes, and resolves with what `until` first finds enough. `nack` says which deliveries to refuse. */
function collect(
  until: (seen: readonly Seen[]) => boolean,
  nack: (seen: Seen) => boolean = () => false,
  name = simulator.subscription,
): Promise<readonly Seen[]> {
  const subscription = client.subscription(name, { streamingOptions: { maxStreams: 1 } });
  closing.push(() => subscription.close());
  const seen: Seen[] = [];
  return new Promise((resolve, reject) => {
    subscription.on('error', reject);
    subscription.on('message', (message) => {
      const { id, deliveryAttempt } = message;
      const one = { text: message.data.toString(), attempt: deliveryAttempt, id };
      seen.push(one);
      if (nack(one)) message.nack();
      else message.ack();
      if (until(seen)) resolve(seen);
    });
  });
}

/** Waits for a condition that the server reaches by itself. */
async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe('the official client', () => {
  it('publishes, receives, and acknowledges for good', async () => {
    const topic = client.topic(simulator.topic);
    const received = collect((seen) => seen.length === 3);
    for (const text of ['one', 'two', 'three']) {
      expect(await topic.publishMessage({ data: Buffer.from(text) })).toMatch(/^\d+$/);
    }
    const texts = (await received).map((one) => one.text).sort();
    expect(texts).toEqual(['one', 'three', 'two']);
    await eventually(() => simulator.messages().out === 0);
    expect(simulator.messages()).toEqual({ waiting: 0, out: 0 });
  });

  it('gets a message again that it refused, with the attempt counted', async () => {
    simulator.publish(Buffer.from('again'));
    const seen = await collect(
      (all) => all.length === 3,
      (one) => one.attempt < 3,
    );
    expect(seen.map((one) => one.attempt)).toEqual([1, 2, 3]);
    expect(new Set(seen.map((one) => one.id)).size).toBe(1);
  });

  it('takes thousands of messages', async () => {
    const count = 3_000;
    for (let at = 0; at < count; at += 1) simulator.publish(Buffer.from(`${at}`));
    const seen = await collect((all) => all.length === count);
    expect(new Set(seen.map((one) => one.text)).size).toBe(count);
  });

  it('goes on after its stream was broken', async () => {
    const seen: string[] = [];
    const received = collect((all) => {
      seen.push(all.at(-1)!.text);
      return all.length === 2;
    });
    simulator.publish(Buffer.from('before'));
    await eventually(() => seen.length === 1);
    simulator.breakStreams();
    simulator.publish(Buffer.from('after'));
    expect((await received).map((one) => one.text)).toEqual(['before', 'after']);
  });

  it('makes topics and subscriptions', async () => {
    const [topic] = await client.createTopic('other');
    await topic.createSubscription('other-worker');
    const received = collect((all) => all.length === 1, undefined, 'other-worker');
    await topic.publishMessage({ data: Buffer.from('elsewhere') });
    expect((await received)[0]?.text).toBe('elsewhere');
    await expect(client.createTopic('other')).rejects.toMatchObject({ code: 6 });
    expect(await client.subscription('other-worker').getMetadata()).toBeDefined();
  });

  it('learns that a subscription is missing, or not for it', async () => {
    await expect(collect(() => true, undefined, 'nobody')).rejects.toMatchObject({ code: 5 });
    simulator.setFaults({ pubsubAccess: 'denied' });
    await expect(collect(() => true)).rejects.toMatchObject({ code: 7 });
  });

  it('loses its open streams when access is withdrawn', async () => {
    const received = collect(() => false);
    simulator.publish(Buffer.from('before'));
    await eventually(() => simulator.messages().waiting === 0 && simulator.messages().out === 0);
    simulator.setFaults({ pubsubAccess: 'missing' });
    await expect(received).rejects.toMatchObject({ code: 5 });
  });
});

describe('faults', () => {
  it('deliver twice, and out of order, and lose nothing', async () => {
    simulator.setFaults({ duplicates: 0.5, reordering: 0.5 });
    for (let at = 0; at < 100; at += 1) simulator.publish(Buffer.from(`${at}`));
    const enough = (all: readonly Seen[]) =>
      new Set(all.map((one) => one.text)).size === 100 && all.length > 110;
    const order = (await collect(enough)).map((one) => Number(one.text));
    expect(order).not.toEqual(order.toSorted((one, other) => one - other));
  });

  it.each([
    ['binary', 'obfuscated', (id: string) => `\n ${id}\x12\x09C01simul8`],
    ['binary', 'missing', (id: string) => `\n ${id}`],
    [
      'json',
      'obfuscated',
      (id: string) => json('certificateProvisioningProcessId', id, 'customerId', 'C01simul8'),
    ],
    [
      'json-snake',
      'my_customer',
      (id: string) => json('certificate_provisioning_process_id', id, 'customer_id', 'my_customer'),
    ],
  ] as const)(
    'write notifications as %s with the customer id %s',
    async (format, form, expected) => {
      simulator.setFaults({ messageFormat: format, customerForm: form });
      const [added] = await simulator.addDevices({ key: 'ec' });
      const [seen] = await collect((all) => all.length === 1);
      expect(seen?.text).toBe(expected(added!.id));
    },
  );
});

function json(...pairs: readonly [string, string, string, string]): string {
  return JSON.stringify({ [pairs[0]]: pairs[1], [pairs[2]]: pairs[3] });
}
