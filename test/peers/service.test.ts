import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DeviceSpecInput } from '../../simulator/device-spec.ts';
import { notificationData } from '../../simulator/notification.ts';
import type { Simulator } from '../../simulator/outside-world.ts';
import {
  findPostgres,
  howToGetPostgres,
  type PostgresServer,
  startPostgres,
} from '../../simulator/peers/postgres-server.ts';
import { startSimulator } from '../../simulator/simulator.ts';
import { requirePeer } from '../support/peer.ts';
import { ServiceHome, type ServiceProcess, until } from '../support/service-process.ts';
import { emulatorIsThere, howToGetEmulator, PubsubEmulator } from './pubsub-emulator.ts';

/*
 * The whole service, as a process of its own, on Google's own Pub/Sub emulator. Google's REST and the devices
 * are the simulator's; what it would publish itself is published on the emulator instead.
 */

const emulatorThere = await requirePeer(
  'Google’s Pub/Sub emulator',
  emulatorIsThere,
  howToGetEmulator,
);
const postgresThere = await requirePeer(
  'PostgreSQL',
  async () => (await findPostgres()) !== undefined,
  howToGetPostgres,
);

const topic = 'certprov';
const subscription = 'certprov-worker';

describe.skipIf(!emulatorThere)('the service on Google’s Pub/Sub emulator', () => {
  let emulator: PubsubEmulator;
  let simulator: Simulator;

  beforeAll(async () => {
    emulator = await PubsubEmulator.start();
    await emulator.createTopic(topic);
    await emulator.createSubscription(subscription, topic);
    simulator = await startSimulator({ faults: 0, distinctKeys: { rsa: 2, ec: 8 } });
  });

  afterAll(async () => {
    await simulator?.[Symbol.asyncDispose]();
    await emulator?.[Symbol.asyncDispose]();
  });

  const makeHome = () =>
    ServiceHome.make({
      restUrl: simulator.restUrl,
      pubsubEndpoint: emulator.host,
      project: emulator.project,
      subscription,
    });

  /** Adds devices and announces their processes on the emulator, `times` each; answers their ids. */
  async function announce(
    spec: DeviceSpecInput,
    format: 'binary' | 'json' | 'json-snake' | 'mixed',
    times = 1,
  ): Promise<string[]> {
    const added = await simulator.addDevices({ ...spec, notify: false });
    const bodies = added.map(({ id, customer }, turn) =>
      notificationData(id, customer, format, turn),
    );
    for (let round = 0; round < times; round += 1) await emulator.publish(topic, ...bodies);
    return added.map(({ id }) => id);
  }

  async function expectDelivered(ids: readonly string[]): Promise<void> {
    for (const process of await simulator.settled(ids, { timeoutMs: 90_000 })) {
      const { state, device, carriedOut } = process;
      expect({ state, device }).toEqual({ state: 'delivered', device: { accepted: true } });
      expect(carriedOut).toMatchObject({ signData: 1, uploadCertificate: 1, setFailure: 0 });
    }
  }

  /** The services together have closed each of the processes, and each once. */
  async function expectClosedOnce(
    ids: readonly string[],
    ...services: readonly ServiceProcess[]
  ): Promise<void> {
    const closed = () =>
      services
        .flatMap(({ log }) => log.filter((line) => line['event'] === 'closed'))
        .map((line) => line['processId']);
    await until(
      () => closed().length >= ids.length,
      () => `${closed().length} of ${ids.length} are closed`,
    );
    expect(closed().toSorted()).toEqual(ids.toSorted());
  }

  /**
   * After a queue that was away for longer than an acknowledgement deadline, Google's client library sets a timer
   * into the past (its lease manager subtracts the slowest answer), and Node says so once. Nothing comes of it.
   */
  function withoutTimerWarning(stderr: string): string {
    const warning =
      /\(node:\d+\) TimeoutNegativeWarning: .*\nTimeout duration was set to 1\.\n\(Use `node --trace-warnings .*\n/;
    return stderr.replace(warning, '');
  }

  async function endedInOrder(...services: readonly ServiceProcess[]): Promise<void> {
    for (const service of services) {
      const { status, stderr } = await service.kill('SIGTERM');
      expect({ status, stderr: withoutTimerWarning(stderr) }).toEqual({ status: 0, stderr: '' });
      expect(service.log.filter((line) => line['event'] === 'bug')).toEqual([]);
    }
  }

  it('delivers what is announced in binary and in JSON, repetitions included', async () => {
    await using home = await makeHome();
    const service = await home.start();
    const ids = [
      ...(await announce({ count: 5, key: 'ec' }, 'binary')),
      ...(await announce({ count: 5, key: 'rsa', subject: 'user' }, 'json')),
      ...(await announce({ count: 5, key: 'ec', profile: 'scep' }, 'json-snake')),
      ...(await announce({ count: 6, key: 'ec' }, 'mixed', 3)),
    ];
    await expectDelivered(ids);
    await expectClosedOnce(ids, service);
    await endedInOrder(service);
  });

  it('goes on when the emulator is restarted in the middle', async () => {
    await using home = await makeHome();
    const service = await home.start();
    await service.running();
    const before = await announce({ count: 10, key: 'ec', signAfterMs: 3_000 }, 'mixed');
    // In the journal, so what the emulator forgets is not needed any more.
    await until(
      async () =>
        (await service.metric('certprov_notifications_total', { result: 'opened' })) === 10,
      () => 'all ten are written down',
    );
    await emulator.stop();
    await service.line(
      (line) => line['event'] === 'inbox' && line['up'] === false,
      'the loss of the queue is told',
    );
    expect((await service.fetch('/readyz')).status).toBe(503);
    await emulator.start();
    await emulator.createTopic(topic);
    await emulator.createSubscription(subscription, topic);
    const after = await announce({ count: 10, key: 'ec' }, 'mixed');
    await expectDelivered([...before, ...after]);
    expect((await service.fetch('/readyz')).status).toBe(200);
    await endedInOrder(service);
  });

  describe.skipIf(!postgresThere)('with PostgreSQL and two instances', () => {
    let postgres: PostgresServer;

    beforeAll(async () => {
      postgres = await startPostgres();
    });

    afterAll(async () => {
      await postgres?.[Symbol.asyncDispose]();
    });

    it('delivers each process once, also when one of them is killed', async () => {
      await using home = await makeHome();
      const environment = { DATABASE_URL: postgres.url() };
      const shared = {
        journal: { kind: 'postgres', url: { env: 'DATABASE_URL' }, leaseSeconds: 10 },
      };
      const one = await home.start({ ...shared, instance: 'one' }, environment);
      const other = await home.start({ ...shared, instance: 'other' }, environment);
      await Promise.all([one.running(), other.running()]);
      const both = await announce({ count: 60, key: 'ec' }, 'mixed', 2);
      await expectDelivered(both);
      await expectClosedOnce(both, one, other);

      const more = await announce({ count: 40, key: 'ec', signAfterMs: 1_500 }, 'mixed');
      await until(
        () => simulator.summary().signing >= 20,
        () => JSON.stringify(simulator.summary()),
      );
      await one.kill('SIGKILL');
      await expectDelivered(more);
      await endedInOrder(other);
    });
  });
});
