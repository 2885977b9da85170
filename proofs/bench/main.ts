import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { runTool, wholeNumber } from '../run-tool.ts';
import { quantile } from './measured-process.ts';
import { onPostgres } from './on-postgres.ts';
import { OutsideWorld } from './outside-world.ts';
import { ServiceProcess } from './service-process.ts';
import { addMixed, rate, serviceRun, throughput } from './throughput.ts';

const usage = `usage: npm run bench -- [options]

What the service costs, as ratios to two floors of the same run: the wire floor, a bare client that makes the same
calls, and the work floor, which also verifies, signs and writes down what any right program must. Simulator, bare
client and service are processes of their own.

  --certificates N  for each run of the bare client and of the service (12000)
  --rounds N        pairs of such runs, of which the medians are shown (3)
  --backlog N,N,…   how many processes wait for their devices, run by run (1000,10000,100000)
  --postgres URL    an empty database, for 1, 2 and 3 instances on it, or "own" to start a PostgreSQL for it (then
                    with the server's CPU time); left out without
  --profile DIR     a CPU profile of the service in those pairs goes there
  --json FILE       where the figures go (data/bench-result.json)`;

const directory = resolve('data/bench');
const port = 8479;
const sqlite = '{ kind: sqlite, path: ./journal.db }';

async function held(count: number, rounds: number, profile?: string) {
  await using world = await OutsideWorld.start();
  await using service = await startFresh(world, profile);
  // Awaited here: both are closed when this function ends.
  return await throughput(world, service, directory, { count, rounds });
}

/** From the start of the process until /readyz says yes. The first start may find its files on the disk only. */
async function starts(count: number, subscription: 'idle' | 'busy') {
  await using world = await OutsideWorld.start();
  const readyAfterMs: number[] = [];
  for (let start = 0; start < count; start += 1) {
    if (subscription === 'busy') await world.add({ count: 1, key: 'ec' });
    await using service = await startFresh(world);
    readyAfterMs.push(Math.round(service.readyAfterMs));
  }
  return { first: readyAfterMs[0], median: quantile(readyAfterMs, 0.5) };
}

/** Prompt devices while others keep the worker waiting: from the signature to the accepted certificate. */
async function latency(waiting: number, count: number) {
  await using world = await OutsideWorld.start();
  await using _service = await startFresh(world);
  await world.add({ count: waiting, key: 'ec', signs: 'never' });
  await sleep(3_000);
  const ids = new Set<string>();
  // A steady trickle, so that no device waits for a burst of others.
  for (let index = 0; index < count; index += 10) {
    for (const { id } of await addMixed(world, 10, true)) ids.add(id);
    await sleep(100);
  }
  await world.delivered(count, 120_000);
  const seconds = (await world.processes())
    .filter(({ id }) => ids.has(id))
    .map(({ times }) => ((times.endedAt ?? Number.NaN) - (times.signedAt ?? Number.NaN)) / 1_000);
  return { waiting, count, p50: quantile(seconds, 0.5), p99: quantile(seconds, 0.99) };
}

/** Memory, and what is left of the throughput, with many processes whose devices do not sign. */
async function backlog(open: number, count: number) {
  await using world = await OutsideWorld.start();
  await using service = await startFresh(world);
  const batch = 10_000;
  for (let left = open; left > 0; left -= batch) {
    await world.add({ count: Math.min(batch, left), key: 'ec', signs: 'never' });
  }
  const startedAt = performance.now();
  await untilAsked(world, open);
  const asked = rate(open, (performance.now() - startedAt) / 1_000, service.cpuMs);
  // The first looks at so many that were asked at once come in their turn; what counts is the day after.
  await sleep(open / 2);
  const fresh = await serviceRun(world, [service], count);
  await sleep(5_000);
  const { now, peak } = service.memoryMiB;
  return {
    open,
    askedPerSecond: asked.perSecond,
    perSecond: fresh.perSecond,
    rssMiB: now,
    peakMiB: peak,
  };
}

async function untilAsked(world: OutsideWorld, open: number): Promise<void> {
  const deadline = performance.now() + 20 * 60_000;
  while (performance.now() < deadline) {
    const { signing = 0 } = await world.summary();
    if (signing >= open) return;
    await sleep(200);
  }
  throw new Error(`The worker did not ask ${open} devices within 20 minutes.`);
}

async function startFresh(world: OutsideWorld, profile?: string): Promise<ServiceProcess> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  const nodeArguments = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`];
  const place = { world, directory, name: 'bench', port, journal: sqlite };
  return ServiceProcess.start({ ...place, nodeArguments });
}

async function bench(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      certificates: { type: 'string', default: '12000' },
      rounds: { type: 'string', default: '3' },
      backlog: { type: 'string', default: '1000,10000,100000' },
      postgres: { type: 'string' },
      profile: { type: 'string' },
      json: { type: 'string', default: join('data', 'bench-result.json') },
    },
  });
  const certificates = wholeNumber('--certificates', values.certificates, 2, 100_000);
  const rounds = wholeNumber('--rounds', values.rounds, 1, 100);
  const sizes = values.backlog
    .split(',')
    .filter(Boolean)
    .map((size) => wholeNumber('--backlog', size, 1, 1_000_000));
  const result: Record<string, unknown> = {};
  const show = (title: string, row: object) => {
    result[title] = row;
    console.log(`\n${title}`);
    console.table(row);
  };
  const ready = { idle: await starts(5, 'idle'), busy: await starts(5, 'busy') };
  show('start to ready, milliseconds', ready);
  const { floor, workFloor, worker, ...figures } = await held(certificates, rounds, values.profile);
  show('wire floor and worker (SQLite, local-ca, prompt devices)', { floor, workFloor, worker });
  show('ratios', figures);
  show('signature there to uploaded, seconds', await latency(1_000, 500));
  const backlogs: Awaited<ReturnType<typeof backlog>>[] = [];
  for (const open of sizes) backlogs.push(await backlog(open, 1_000));
  if (backlogs.length > 0) show('open processes', backlogs);
  if (values.postgres !== undefined) {
    await mkdir(directory, { recursive: true });
    const place = { url: values.postgres, directory, firstPort: port, count: 3_000 };
    show('instances on PostgreSQL', await onPostgres(place));
  } else {
    console.log('\nNo --postgres URL: instances on PostgreSQL are not measured.');
  }
  await mkdir('data', { recursive: true });
  await writeFile(values.json, `${JSON.stringify(result, undefined, 2)}\n`);
  console.log(`\nWritten to ${values.json}.`);
  return 0;
}

await runTool(usage, bench);
