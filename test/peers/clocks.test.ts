import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  findPostgres,
  howToGetPostgres,
  type PostgresServer,
  startPostgres,
} from '../../simulator/peers/postgres-server.ts';
import { startSimulator } from '../../simulator/simulator.ts';
import { requirePeer } from '../support/peer.ts';
import { ServiceHome, type ServiceProcess, until } from '../support/service-process.ts';
import { FakedClock, faketimeIsThere, howToGetFaketime } from './faked-clock.ts';

/*
 * The service as processes of its own whose clocks are faked: frozen machines, and clocks that are set.
 */

const there =
  (await requirePeer('libfaketime', faketimeIsThere, howToGetFaketime)) &&
  (await requirePeer(
    'PostgreSQL',
    async () => (await findPostgres()) !== undefined,
    howToGetPostgres,
  ));

const hour = 3_600;
const outside = { faults: 0, distinctKeys: { rsa: 2, ec: 8 } } as const;

describe.skipIf(!there)('on machines whose clocks do what they should not', () => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  it('a frozen instance asks no device twice', async () => {
    // By hand: 300 devices under the default budget.
    const devices = Number(process.env['CERTPROV_FROZEN_DEVICES'] ?? 30);
    const requestsPerSecond = Number(process.env['CERTPROV_FROZEN_BUDGET'] ?? 20);
    await using simulator = await startSimulator(outside);
    await using home = await ServiceHome.make(simulator);
    await using clock = await FakedClock.make(0, true);
    const start = (instance: string, env = {}) =>
      home.start(
        {
          instance,
          google: { endpoint: simulator.restUrl, credentials: 'none', requestsPerSecond },
          journal: { kind: 'postgres', url: { env: 'DATABASE_URL' }, leaseSeconds: 5 },
          limits: { visits: 500 },
        },
        { DATABASE_URL: server.url(), ...env },
      );
    const frozen = await start('frozen', clock.env);
    await frozen.running();
    await simulator.addDevices({ count: devices, key: 'ec', signAfterMs: 20_000 });
    // Right after a call: the next comes when the budget allows it, and all others wait for that.
    const before = devices / 10;
    while (asked(simulator) < before) await sleep(2);
    const freezing = clock.freeze(frozen, Number(process.env['CERTPROV_FROZEN_MS'] ?? 18_000));
    const other = await start('other');
    await other.running();
    await freezing;
    const processes = await simulator.settled(
      simulator.processes().map(({ id }) => id),
      { timeoutMs: 150_000 },
    );
    const twice = processes.filter(({ calls }) => calls.signData > 1).length;
    const delivered = processes.filter(({ state }) => state === 'delivered').length;
    expect({ twice, delivered }).toEqual({ twice: 0, delivered: devices });
  }, 200_000);

  const journals = ['sqlite', 'postgres'] as const;
  const cases = journals.flatMap((kind) => [
    [kind, 'an hour ahead', hour] as const,
    [kind, 'an hour behind', -hour] as const,
    [kind, '25 hours ahead', 25 * hour] as const,
    [kind, 'a year ahead', 8_760 * hour] as const,
  ]);

  it.concurrent.each(cases)(
    'on %s, %s at the start and later, it takes nothing, says so, and goes on when it is right',
    async (kind, _what, error) => {
      await using simulator = await startSimulator(outside);
      await using home = await ServiceHome.make(simulator);
      await using clock = await FakedClock.make(error);
      const database = `clock_${kind}_${error < 0 ? 'behind' : 'ahead'}_${Math.abs(error)}`;
      if (kind === 'postgres') await create(server, database);
      const journal =
        kind === 'sqlite'
          ? { kind, path: './journal.db', leaseSeconds: 5 }
          : { kind, url: { env: 'DATABASE_URL' }, leaseSeconds: 5 };
      const service = await home.start(
        { journal },
        { DATABASE_URL: server.url({ database }), ...clock.env },
      );
      await simulator.addDevices({ count: 10, key: 'ec', signAfterMs: 1_000 });
      await service.line((line) => line['event'] === 'clock', 'it doubts its clock');
      await sleep(1_500);
      expect(await readiness(service)).toMatchObject({ status: 503, clock: false });
      expect(asked(simulator)).toBe(0);
      await clock.set(0);
      await until(
        () => simulator.summary().signing > 0 || simulator.summary().delivered > 0,
        () => JSON.stringify(simulator.summary()),
      );
      await clock.set(error);
      await until(
        async () => (await readiness(service)).status === 503,
        () => 'it doubts its clock again',
      );
      await sleep(3_000);
      expect(await readiness(service)).toMatchObject({ status: 503, clock: false });
      await clock.set(0);
      const ended = await simulator.settled(
        simulator.processes().map(({ id }) => id),
        { timeoutMs: 60_000 },
      );
      expect(ended.map(({ state, device }) => [state, device])).toEqual(
        ended.map(() => ['delivered', { accepted: true }]),
      );
      expect(await readiness(service)).toMatchObject({ status: 200, clock: true });
      const lines = service.log.filter(
        ({ event, level }) => event === 'clock' && level === 'error',
      );
      expect(lines.length).toBe(2);
    },
    120_000,
  );
});

async function create(server: PostgresServer, database: string): Promise<void> {
  const client = new Client({ connectionString: server.url() });
  await client.connect();
  await client.query(`CREATE DATABASE ${database}`);
  await client.end();
}

function asked(simulator: Awaited<ReturnType<typeof startSimulator>>): number {
  return simulator.processes().filter(({ carriedOut }) => carriedOut.signData > 0).length;
}

async function readiness(service: ServiceProcess): Promise<{ status: number; clock: boolean }> {
  const { status, text } = await service.fetch('/readyz');
  return { status, clock: JSON.parse(text).clock.ready };
}
