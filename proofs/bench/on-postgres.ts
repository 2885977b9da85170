import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { z } from 'zod';
import { startPostgres } from '../../simulator/peers/postgres-server.ts';
import { cpuMsOfFamily } from './measured-process.ts';
import { OutsideWorld } from './outside-world.ts';
import { ServiceProcess } from './service-process.ts';
import { serviceRun } from './throughput.ts';

/* One, two and three instances on one database: what a certificate costs them and the server. */

export interface PostgresRunOptions {
  /** Of an empty database; `own` starts a server for the run. */
  readonly url: string;
  readonly directory: string;
  readonly firstPort: number;
  readonly count: number;
}

const mostInstances = 3;
/** A connection hands in what it counted at most once a second. */
const countsComeAfterMs = 2_000;

export async function onPostgres({ url: given, ...options }: PostgresRunOptions) {
  await using stack = new AsyncDisposableStack();
  const server = given === 'own' ? stack.use(await startPostgres()) : undefined;
  const url = server === undefined ? given : server.url();
  const pid = server === undefined ? undefined : postmasterOf(join(server.directory, 'data'));
  const counts = await ServerCounts.connect(url, pid);
  stack.defer(() => counts.close());
  const world = stack.use(await OutsideWorld.start());
  const rows: Awaited<ReturnType<typeof measured>>[] = [];
  for (let instances = 1; instances <= mostInstances; instances += 1) {
    rows.push(await measured(world, counts, { ...options, url, instances }));
  }
  return rows;
}

async function measured(
  world: OutsideWorld,
  counts: ServerCounts,
  options: PostgresRunOptions & { readonly instances: number },
) {
  const { url, directory, firstPort, count, instances } = options;
  await using services = new AsyncDisposableStack();
  const started: ServiceProcess[] = [];
  for (let index = 0; index < instances; index += 1) {
    const name = `bench-${index + 1}`;
    const journal = '{ kind: postgres, url: { env: DATABASE_URL } }';
    const env = { DATABASE_URL: url };
    const place = { world, directory, name, port: firstPort + index, journal, env };
    started.push(services.use(await ServiceProcess.start(place)));
  }
  // Each of them is to have as much time to become fast.
  await serviceRun(world, started, 500 * instances);
  const before = await counts.read();
  const run = await serviceRun(world, started, count);
  const after = await counts.read();
  return {
    instances,
    ...run,
    serverCpuMsEach: (after.cpuMs - before.cpuMs) / count,
    statementsEach: (after.statements - before.statements) / count,
    walBytesEach: Math.round((after.walBytes - before.walBytes) / count),
  };
}

const counted = z.object({ statements: z.coerce.number(), wal_bytes: z.coerce.number() });

class ServerCounts {
  readonly #client: Client;
  readonly #pid: number | undefined;

  private constructor(client: Client, pid: number | undefined) {
    this.#client = client;
    this.#pid = pid;
  }

  static async connect(url: string, pid: number | undefined): Promise<ServerCounts> {
    const client = new Client({ connectionString: url });
    await client.connect();
    return new ServerCounts(client, pid);
  }

  /** Each statement of ours is a transaction of its own. NaN for the CPU of a server that is not on this machine. */
  async read() {
    const time = this.#pid === undefined ? Number.NaN : cpuMsOfFamily(this.#pid);
    await sleep(countsComeAfterMs);
    const { rows } = await this.#client.query(
      `SELECT xact_commit + xact_rollback AS statements,
        pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') AS wal_bytes
      FROM pg_stat_database WHERE datname = current_database()`,
    );
    const { statements, wal_bytes: walBytes } = counted.parse(rows[0]);
    return { cpuMs: time, statements, walBytes };
  }

  close(): Promise<void> {
    return this.#client.end();
  }
}

function postmasterOf(data: string): number {
  return Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0]);
}
