import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { runTool, wholeNumber } from '../run-tool.ts';
import { quantile } from './measured-process.ts';
import { type Added, OutsideWorld } from './outside-world.ts';
import { ServiceProcess } from './service-process.ts';

const usage = `usage: npm run bench -- [options]

What the service costs, as ratios to the wire floor of the same run. Simulator, bare client and service are
processes of their own.

  --certificates N  for each run of the bare client and of the service (12000)
  --rounds N        pairs of such runs, of which the medians are shown (3)
  --backlog N,N,…   how many processes wait for their devices, run by run (1000,10000,100000)
  --postgres URL    an empty database, for 1, 2 and 3 instances on it; left out without
  --json FILE       where the figures go (data/bench-result.json)`;

const directory = resolve('data/bench');
const port = 8479;
const sqlite = '{ kind: sqlite, path: ./journal.db }';

interface Rate {
  readonly certificates: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly cpuMsEach: number;
}

async function floorRun(
  world: OutsideWorld,
  count: number,
  certificates: { readonly rsa: string; readonly ec: string },
): Promise<Rate> {
  const processes = await addMixed(world, count, false);
  const child = spawn(process.execPath, ['proofs/bench/floor.ts'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.end(JSON.stringify({ rest: world.rest, concurrency: 64, processes, certificates }));
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  const [status] = await once(child, 'exit');
  if (status !== 0) throw new Error('The bare client failed.');
  const { seconds, cpuMs } = z
    .object({ seconds: z.number(), cpuMs: z.number() })
    .parse(JSON.parse(Buffer.concat(chunks).toString()));
  return rate(count, seconds, cpuMs);
}

/**
 * From the first announcement until 99 of 100 certificates are accepted, by the simulator's own clock. The last
 * hundredth is left out because a device that signs a moment after it was looked at is looked at again two seconds
 * later, and with nothing else to do that would count as time at work.
 */
async function serviceRun(
  world: OutsideWorld,
  services: readonly ServiceProcess[],
  count: number,
): Promise<Rate & { readonly callsEach: number }> {
  const cpu = () => services.reduce((sum, { cpuMs }) => sum + cpuMs, 0);
  const { delivered = 0 } = await world.summary();
  const cpuBefore = cpu();
  const added = new Set((await addMixed(world, count, true)).map(({ id }) => id));
  await world.delivered(delivered + count, 300_000);
  const cpuMs = cpu() - cpuBefore;
  const mine = (await world.processes()).filter(({ id }) => added.has(id));
  const ends = mine.map(({ times }) => times.endedAt ?? Number.NaN).sort((a, b) => a - b);
  const counted = Math.ceil(count * 0.99);
  const first = quantile(
    mine.map(({ times }) => times.startedAt),
    0,
  );
  const seconds = ((ends[counted - 1] ?? Number.NaN) - first) / 1_000;
  const calls = mine.flatMap((each) => Object.values(each.calls)).reduce((sum, n) => sum + n, 0);
  return {
    certificates: count,
    seconds,
    perSecond: counted / seconds,
    cpuMsEach: cpuMs / count,
    callsEach: calls / count,
  };
}

/** A certificate that the service has delivered to a device with such a key. */
async function oneOf(world: OutsideWorld, kind: 'rsa' | 'ec'): Promise<string> {
  const one = (await world.processes()).find(({ key }) => key === kind);
  if (one === undefined) throw new Error(`No ${kind} device was there.`);
  return world.certificateOf(one.id);
}

async function addMixed(world: OutsideWorld, count: number, notify: boolean): Promise<Added[]> {
  const half = Math.ceil(count / 2);
  const rsa = await world.add({ count: half, key: 'rsa', subject: 'device', notify });
  const ec = await world.add({ count: count - half, key: 'ec', subject: 'user', notify });
  return [...rsa, ...ec];
}

function rate(certificates: number, seconds: number, cpuMs: number): Rate {
  return {
    certificates,
    seconds,
    perSecond: certificates / seconds,
    cpuMsEach: cpuMs / certificates,
  };
}

async function throughput(count: number, rounds: number) {
  await using world = await OutsideWorld.start();
  await using service = await startFresh(world);
  await serviceRun(world, [service], 500);
  const certificates = { rsa: await oneOf(world, 'rsa'), ec: await oneOf(world, 'ec') };
  await floorRun(world, 500, certificates);
  const floors: Rate[] = [];
  const services: Awaited<ReturnType<typeof serviceRun>>[] = [];
  for (let round = 0; round < rounds; round += 1) {
    floors.push(await floorRun(world, count, certificates));
    services.push(await serviceRun(world, [service], count));
  }
  // One after the other in a pair: the machine is not as fast in one minute as in the next.
  const ratios = floors.map((floor, pair) => ({
    rate: (services[pair]?.perSecond ?? Number.NaN) / floor.perSecond,
    cpu: (services[pair]?.cpuMsEach ?? Number.NaN) / floor.cpuMsEach,
  }));
  const rates = ratios.map(({ rate }) => rate);
  return {
    floor: median(floors),
    worker: median(services),
    pairs: rates.map((rate) => rate.toFixed(2)).join(' '),
    ratio: quantile(rates, 0.5),
    cpuRatio: quantile(
      ratios.map(({ cpu }) => cpu),
      0.5,
    ),
    peakMiB: service.memoryMiB.peak,
  };
}

function median<Of extends Rate>(rates: readonly Of[]): Of {
  const sorted = rates.toSorted((a, b) => a.perSecond - b.perSecond);
  const middle = sorted[Math.floor(sorted.length / 2)];
  if (middle === undefined) throw new Error('There is nothing to take the median of.');
  return middle;
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

async function instances(world: OutsideWorld, count: number, url: string, number: number) {
  await using services = new AsyncDisposableStack();
  const started: ServiceProcess[] = [];
  for (let index = 0; index < number; index += 1) {
    const name = `bench-${index + 1}`;
    const journal = '{ kind: postgres, url: { env: DATABASE_URL } }';
    const env = { DATABASE_URL: url };
    const options = { world, directory, name, port: port + index, journal, env };
    started.push(services.use(await ServiceProcess.start(options)));
  }
  return { instances: number, ...(await serviceRun(world, started, count)) };
}

async function startFresh(world: OutsideWorld): Promise<ServiceProcess> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  return ServiceProcess.start({ world, directory, name: 'bench', port, journal: sqlite });
}

async function bench(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      certificates: { type: 'string', default: '12000' },
      rounds: { type: 'string', default: '3' },
      backlog: { type: 'string', default: '1000,10000,100000' },
      postgres: { type: 'string' },
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
  const main = await throughput(certificates, rounds);
  const { floor, worker, ...figures } = main;
  show('wire floor and worker (SQLite, local-ca, prompt devices)', { floor, worker });
  show('ratios', figures);
  show('signature there to uploaded, seconds', await latency(1_000, 500));
  const backlogs: Awaited<ReturnType<typeof backlog>>[] = [];
  for (const open of sizes) backlogs.push(await backlog(open, 1_000));
  if (backlogs.length > 0) show('open processes', backlogs);
  if (values.postgres !== undefined) {
    await using world = await OutsideWorld.start();
    await mkdir(directory, { recursive: true });
    const rows: Awaited<ReturnType<typeof instances>>[] = [];
    for (const number of [1, 2, 3])
      rows.push(await instances(world, 3_000, values.postgres, number));
    show('instances on PostgreSQL', rows);
  } else {
    console.log('\nNo --postgres URL: instances on PostgreSQL are not measured.');
  }
  await mkdir('data', { recursive: true });
  await writeFile(values.json, `${JSON.stringify(result, undefined, 2)}\n`);
  console.log(`\nWritten to ${values.json}.`);
  return 0;
}

await runTool(usage, bench);
