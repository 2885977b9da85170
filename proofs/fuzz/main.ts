import { createHash, randomInt } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { optionalSeed, runTool, UsageError } from '../run-tool.ts';
import { attempt } from './attempt.ts';
import { doors, openDoor } from './doors.ts';
import { longestInput } from './edit.ts';
import type { FuzzOrder, FuzzReport } from './worker.ts';

const usage = `usage: npm run fuzz -- [options]

  --minutes M       how long, for all doors together (1)
  --seed S          fixes the inputs of each door (drawn and printed when absent)
  --door NAME       only this door: ${Object.keys(doors).join(', ')}
  --replay FILE     tries one kept input again, at the door of --door

What is found is written to data/fuzz/DOOR-HASH.bin, with a .txt that says what it is and how to try it again.
Exit status 0 when nothing was found, 1 when something was, 2 for bad usage.`;

const directory = 'data/fuzz';
/** No input may keep a door for so long, however slow the machine is. */
const hangMs = 20_000;

interface Options {
  readonly minutes: number;
  readonly seed: number;
  readonly door: string | undefined;
  readonly replay: string | undefined;
}

function readOptions(args: readonly string[]): Options {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: { minutes: text, seed: text, door: text, replay: text },
  });
  const minutes = Number(values.minutes ?? '1');
  const seed = optionalSeed(values.seed) ?? randomInt(2 ** 32);
  const { door, replay } = values;
  if (!(minutes > 0 && minutes <= 10_000)) throw new UsageError('--minutes is a number above 0.');
  if (door !== undefined && !Object.hasOwn(doors, door)) {
    throw new UsageError(`There is no door ${door}.`);
  }
  if (replay !== undefined && door === undefined) throw new UsageError('--replay needs --door.');
  return { minutes, seed, door, replay };
}

async function fuzz({ minutes, seed, door }: Options): Promise<number> {
  const names = door === undefined ? Object.keys(doors) : [door];
  const forMs = (minutes * 60_000) / names.length;
  console.log(`seed ${seed}, ${names.length} doors, ${Math.round(forMs / 1_000)} s each`);
  let tried = 0;
  let found = 0;
  for (const name of names) {
    const report = await explore(name, seed, forMs);
    tried += report.tried;
    found += report.findings.length;
    console.log(
      `${name}: ${report.tried} inputs, ${report.accepted} accepted, ${report.traces} ways to end, ${report.findings.length} findings`,
    );
    for (const { what, input } of report.findings) await keep(name, seed, what, input);
  }
  console.log(`${tried} inputs tried, ${found} findings (seed ${seed})`);
  return found === 0 ? 0 : 1;
}

/** One door's share of the time. An input that does not come back ends it, and is a finding. */
async function explore(door: string, seed: number, forMs: number): Promise<FuzzReport> {
  const shared = new SharedArrayBuffer(8 + longestInput);
  const header = new Int32Array(shared, 0, 2);
  const workerData: FuzzOrder = { door, seed, forMs, shared };
  const worker = new Worker(new URL('worker.ts', import.meta.url), { workerData });
  const { promise, resolve, reject } = Promise.withResolvers<FuzzReport>();
  worker.once('message', resolve);
  worker.once('error', reject);
  worker.once('exit', () => reject(new Error(`The thread at the door ${door} ended by itself.`)));
  let last = -1;
  const watch = setInterval(() => {
    const count = Atomics.load(header, 0);
    // Before the first input the thread is still loading.
    if (count > 0 && count === last) resolve(hanging(shared, count));
    last = count;
  }, hangMs);
  try {
    return await promise;
  } catch (error) {
    // What no door has caught: an error thrown outside of every call.
    const what = `throws outside of the call: ${error instanceof Error ? error.stack : error}`;
    const { findings, ...rest } = hanging(shared, Atomics.load(header, 0));
    return { ...rest, findings: findings.map(({ input }) => ({ what, input })) };
  } finally {
    clearInterval(watch);
    await worker.terminate();
  }
}

function hanging(shared: SharedArrayBuffer, tried: number): FuzzReport {
  const [, length = 0] = new Int32Array(shared, 0, 2);
  const input = new Uint8Array(shared, 8).slice(0, length);
  const what = `has not come back after ${hangMs} ms`;
  return { tried, accepted: 0, traces: 0, findings: [{ what, input }] };
}

async function keep(door: string, seed: number, what: string, input: Uint8Array): Promise<void> {
  await mkdir(directory, { recursive: true });
  const hash = createHash('sha256').update(input).digest('hex').slice(0, 12);
  const path = join(directory, `${door}-${hash}`);
  await writeFile(`${path}.bin`, input);
  const again = `npm run fuzz -- --door ${door} --replay ${path}.bin`;
  const shown = JSON.stringify(Buffer.from(input).toString('latin1').slice(0, 2_000));
  await writeFile(`${path}.txt`, `${what}\n\nseed ${seed}\n${again}\n\n${shown}\n`);
  console.log(`  ${what}\n  ${again}`);
}

async function replay(name: string, file: string): Promise<number> {
  const door = await openDoor(name);
  const outcome = await attempt(door, await readFile(file));
  await door.close?.();
  console.log(outcome.kind === 'finding' ? outcome.what : outcome.trace);
  return outcome.kind === 'finding' ? 1 : 0;
}

await runTool(usage, async (args) => {
  const options = readOptions(args);
  const { door, replay: file } = options;
  return file === undefined || door === undefined ? fuzz(options) : replay(door, file);
});
