import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { z } from 'zod';
import { quantile } from './measured-process.ts';
import type { Added, OutsideWorld } from './outside-world.ts';
import type { ServiceProcess } from './service-process.ts';

/* How many certificates in a second, and at what cost: of the service, and of the floors that it is held against. */

export interface Rate {
  readonly certificates: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly cpuMsEach: number;
}

interface FloorOptions {
  /** PEM; delivered to devices with such keys. */
  readonly certificates: { readonly rsa: string; readonly ec: string };
  /** Where the work floor keeps its notes; without it there is no work. */
  readonly directory?: string;
}

async function floorRun(world: OutsideWorld, count: number, options: FloorOptions): Promise<Rate> {
  const processes = await addMixed(world, count, false);
  const child = spawn(process.execPath, ['proofs/bench/floor.ts'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.end(JSON.stringify({ rest: world.rest, concurrency: 64, processes, ...options }));
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
export async function serviceRun(
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

export async function addMixed(
  world: OutsideWorld,
  count: number,
  notify: boolean,
): Promise<Added[]> {
  const half = Math.ceil(count / 2);
  const rsa = await world.add({ count: half, key: 'rsa', subject: 'device', notify });
  const ec = await world.add({ count: count - half, key: 'ec', subject: 'user', notify });
  return [...rsa, ...ec];
}

export function rate(certificates: number, seconds: number, cpuMs: number): Rate {
  return {
    certificates,
    seconds,
    perSecond: certificates / seconds,
    cpuMsEach: cpuMs / certificates,
  };
}

/** Rounds of one run of each, one after the other, since the machine is not as fast in one minute as in the next. */
export async function throughput(
  world: OutsideWorld,
  service: ServiceProcess,
  directory: string,
  { count, rounds }: { readonly count: number; readonly rounds: number },
) {
  await serviceRun(world, [service], 500);
  const certificates = { rsa: await oneOf(world, 'rsa'), ec: await oneOf(world, 'ec') };
  const wire = { certificates };
  const working = { certificates, directory: join(directory, 'work-floor') };
  await floorRun(world, 500, wire);
  const floors: Rate[] = [];
  const workFloors: Rate[] = [];
  const services: Awaited<ReturnType<typeof serviceRun>>[] = [];
  for (let round = 0; round < rounds; round += 1) {
    floors.push(await floorRun(world, count, wire));
    workFloors.push(await floorRun(world, count, working));
    services.push(await serviceRun(world, [service], count));
  }
  const toWire = ratios(services, floors);
  const toWork = ratios(services, workFloors);
  return {
    floor: median(floors),
    workFloor: median(workFloors),
    worker: median(services),
    pairs: toWire.pairs,
    ratio: toWire.rate,
    cpuRatio: toWire.cpu,
    workPairs: toWork.pairs,
    workRatio: toWork.rate,
    workCpuRatio: toWork.cpu,
    peakMiB: service.memoryMiB.peak,
  };
}

function ratios(services: readonly Rate[], floors: readonly Rate[]) {
  const each = (of: (rate: Rate) => number) =>
    floors.map((floor, pair) => of(services[pair] ?? nothing) / of(floor));
  const rates = each(({ perSecond }) => perSecond);
  return {
    pairs: rates.map((rate) => rate.toFixed(2)).join(' '),
    rate: quantile(rates, 0.5),
    cpu: quantile(
      each(({ cpuMsEach }) => cpuMsEach),
      0.5,
    ),
  };
}

const nothing = rate(Number.NaN, Number.NaN, Number.NaN);

function median<Of extends Rate>(rates: readonly Of[]): Of {
  const sorted = rates.toSorted((a, b) => a.perSecond - b.perSecond);
  const middle = sorted[Math.floor(sorted.length / 2)];
  if (middle === undefined) throw new Error('There is nothing to take the median of.');
  return middle;
}
