import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import {
  type DemoAuthority,
  type DemoKind,
  demoKinds,
  MissingServerError,
  requireServer,
  startAuthority,
} from './demo-authority.ts';
import { demoConfig } from './demo-config.ts';
import { keepEvidence, printTable } from './demo-table.ts';
import type { Simulator } from './outside-world.ts';
import type { ProcessView } from './simulated-process.ts';
import { startSimulator } from './simulator.ts';

/*
 * `npm run demo`: Google and the devices in this process, the service as a process of its own, exactly as an
 * administrator would start it. Exit status 0 when every device and user holds an accepted certificate, 2 when the
 * CA server that `--kind` needs is not installed.
 */

const directory = resolve('data/demo');
const deadlineMs = 5 * 60_000;
/** The devices' schedule runs this much faster: a lost push costs them three seconds instead of eight hours. */
const timeScale = 0.0001;
/** A connection that the fault `timeout` leaves without an answer is cut after this long. */
const holdMs = 2_000;

const usage = `usage: npm run demo -- [options]

A simulated Google with devices and users, the service, and a CA, on this machine alone.

  --devices N     how many devices and users (12)
  --kind KIND     the CA: ${demoKinds.join(', ')} (local-ca)
  --faults 0..1   base rate of passing trouble at Google (0.02)
  --seed N        fixes ids and fault decisions (drawn and printed when absent)

What comes of it is under data/demo/. Exit status 0 when everybody holds a certificate, 1 when not, 2 for bad usage
and for a CA server that is not installed.`;

interface DemoOptions {
  readonly kind: DemoKind;
  readonly devices: number;
  readonly faults: number;
  readonly seed?: number;
}

async function demo(options: DemoOptions): Promise<number> {
  requireServer(options.kind);
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await using authority = await startAuthority(options.kind, directory);
  await using simulator = await startSimulator({
    restPort: 0,
    pubsubPort: 0,
    managementPort: 0,
    faults: options.faults,
    timeScale,
    holdMs,
    ...(options.seed === undefined ? {} : { seed: options.seed }),
  });
  console.log(
    `Simulated Google on ${simulator.restUrl}, Pub/Sub on ${simulator.pubsubEndpoint}, faults ${options.faults}, seed ${simulator.seed}.`,
  );
  console.log(authority.note);
  const configPath = join(directory, 'config.yaml');
  await writeFile(configPath, demoConfig(simulator, authority));
  await using service = startService(configPath);
  await addDevices(simulator, authority.keys, options.devices);
  await watch(simulator, service, options.devices);
  await keepEvidence(simulator.processes(), directory);
  return printTable(simulator.processes(), directory);
}

/** An even mix of the kinds of keys, and of devices and users. */
async function addDevices(
  simulator: Simulator,
  keys: DemoAuthority['keys'],
  count: number,
): Promise<void> {
  const kinds = (['device', 'user'] as const).flatMap((subject) =>
    keys.map((key) => ({ key, subject })),
  );
  for (const [index, kind] of kinds.entries()) {
    const share = Math.floor((count + kinds.length - 1 - index) / kinds.length);
    if (share > 0) await simulator.addDevices({ count: share, ...kind });
  }
}

/** Prints progress until everything is settled, the service has ended, or time is up. */
async function watch(simulator: Simulator, service: Service, count: number): Promise<void> {
  const startedAt = Date.now();
  const isTerminal = process.stdout.isTTY === true;
  let last = '';
  for (;;) {
    const settled = simulator.processes().filter(isSettled).length;
    const line = `${settled} of ${count} settled`;
    if (isTerminal) process.stdout.write(`\r${line} after ${seconds(startedAt)} s `);
    else if (line !== last) console.log(`${line} after ${seconds(startedAt)} s`);
    last = line;
    if (settled >= count) break;
    if (service.hasEnded()) throw new Error(`The service has ended; see ${service.logPath}.`);
    if (Date.now() - startedAt > deadlineMs) break;
    await new Promise((wake) => setTimeout(wake, isTerminal ? 200 : 1_000));
  }
  if (isTerminal) process.stdout.write('\n');
}

function isSettled({ state, device }: ProcessView): boolean {
  return ['delivered', 'failed', 'gone'].includes(state) || device.problem !== undefined;
}

function seconds(since: number): string {
  return ((Date.now() - since) / 1_000).toFixed(1);
}

interface Service extends AsyncDisposable {
  readonly logPath: string;
  hasEnded(): boolean;
}

function startService(configPath: string): Service {
  const logPath = join(directory, 'service.log');
  const log = createWriteStream(logPath);
  const args = [join(import.meta.dirname, '../src/main.ts'), 'serve', '--config', configPath];
  const child: ChildProcess = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout?.pipe(log);
  child.stderr?.pipe(log);
  const exited = once(child, 'exit');
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  // However this process ends, the service does not outlive it.
  const kill = () => child.kill('SIGKILL');
  process.on('exit', kill);
  return {
    logPath,
    hasEnded,
    async [Symbol.asyncDispose]() {
      if (!hasEnded()) child.kill('SIGTERM');
      await exited;
      process.off('exit', kill);
      log.end();
    },
  };
}

class UsageError extends Error {}

/** Undefined: only the usage was asked for. Throws {@link UsageError}. */
function readOptions(args: readonly string[]): DemoOptions | undefined {
  const values = parse(args);
  if (values.help === true) return undefined;
  const kind = demoKinds.find((name) => name === values.kind);
  if (kind === undefined) throw new UsageError(`--kind takes ${demoKinds.join(', ')}.`);
  const devices = Number(values.devices);
  const faults = Number(values.faults);
  const seed = values.seed === undefined ? undefined : Number(values.seed);
  if (!Number.isInteger(devices) || devices < 1 || devices > 10_000) {
    throw new UsageError('--devices takes a whole number from 1 to 10000.');
  }
  if (!(faults >= 0 && faults <= 1)) throw new UsageError('--faults takes a number from 0 to 1.');
  if (seed !== undefined && !Number.isSafeInteger(seed)) {
    throw new UsageError('--seed takes a whole number.');
  }
  return { kind, devices, faults, ...(seed === undefined ? {} : { seed }) };
}

function parse(args: readonly string[]) {
  const options = {
    kind: { type: 'string', default: 'local-ca' },
    devices: { type: 'string', default: '12' },
    faults: { type: 'string', default: '0.02' },
    seed: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  } as const;
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

// The service is a process of its own and has to be ended too.
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => process.exit(1));

try {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) console.log(usage);
  else process.exitCode = await demo(options);
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  console.error(error instanceof UsageError ? `${message}\n\n${usage}` : message);
  const isTheirs = error instanceof UsageError || error instanceof MissingServerError;
  process.exitCode = isTheirs ? 2 : 1;
}
