import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { freePort } from '../../simulator/peers/free-port.ts';

/*
 * The service as an administrator runs it: `node src/main.ts` as a process of its own.
 */

const root = fileURLToPath(new URL('../..', import.meta.url));

/** One line of the service's log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly msg?: string };

export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command of main.ts to its end. */
export async function runMain(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const child = spawn(process.execPath, ['src/main.ts', ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const [status, signal] = await once(child, 'close');
  return { status, signal, stdout, stderr };
}

/** Where Google and the queue are. The simulator is one; an emulator may bring the queue. */
export interface Surroundings {
  readonly restUrl: string;
  readonly pubsubEndpoint: string;
  readonly project: string;
  readonly subscription: string;
}

const profiles = {
  device_profile: { subject: 'CN=${DEVICE_SERIAL_NUMBER},O=Example' },
  user_profile: {
    subject: 'CN=${USER_EMAIL},O=Example',
    subjectAltNames: [{ type: 'email', value: '${USER_EMAIL}' }],
  },
};

/** Its root is named before the first start has made it. */
const localCa = { kind: 'local-ca', options: { directory: './ca' }, roots: ['./ca/root.pem'] };

/** A directory with a configuration, in which services are started one after another or side by side. */
export class ServiceHome implements AsyncDisposable {
  readonly directory: string;
  readonly #world: Surroundings;
  readonly #services: ServiceProcess[] = [];

  private constructor(directory: string, world: Surroundings) {
    this.directory = directory;
    this.#world = world;
  }

  static async make(world: Surroundings): Promise<ServiceHome> {
    return new ServiceHome(await mkdtemp(join(tmpdir(), 'certprov-service-')), world);
  }

  /** Starts the service and does not wait until it runs. `sections` replace those of the configuration. */
  async start(
    sections: Readonly<Record<string, unknown>> = {},
    env: Readonly<Record<string, string>> = {},
  ): Promise<ServiceProcess> {
    const port = await freePort();
    const { restUrl, pubsubEndpoint, project, subscription } = this.#world;
    const config = {
      instance: 'tested',
      google: { endpoint: restUrl, credentials: 'none', requestsPerSecond: 1_000 },
      pubsub: { project, subscription, endpoint: pubsubEndpoint },
      journal: { kind: 'sqlite', path: './journal.db' },
      authorities: { default_ca_config: localCa },
      profiles,
      server: { port },
      ...sections,
    };
    const path = join(this.directory, `config-${this.#services.length}.yaml`);
    await writeFile(path, stringify(config));
    // exec knows an order again by its files there: nobody else's may lie among them.
    const service = new ServiceProcess(path, port, { TMPDIR: this.directory, ...env });
    this.#services.push(service);
    return service;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const service of this.#services) await service.kill('SIGKILL');
    await rm(this.directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

export class ServiceProcess {
  readonly log: LogLine[] = [];
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #ended: Promise<Ended>;
  #stderr = '';

  constructor(configPath: string, port: number, env: Readonly<Record<string, string>>) {
    this.port = port;
    const args = ['src/main.ts', 'serve', '--config', configPath];
    this.#child = spawn(process.execPath, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    const { stdout, stderr } = this.#child;
    if (stdout === null || stderr === null) throw new Error('The service’s output is not read.');
    createInterface({ input: stdout }).on('line', (line) => this.log.push(JSON.parse(line)));
    stderr.on('data', (chunk) => {
      this.#stderr += chunk;
    });
    this.#ended = once(this.#child, 'close').then(([status, signal]) => {
      return { status, signal, stdout: this.#logText(), stderr: this.#stderr };
    });
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Once a line of the log satisfies the condition; rejects when the service ends before. */
  async line(condition: (line: LogLine) => boolean, what: string): Promise<LogLine> {
    const find = () => this.log.find(condition);
    await until(
      () => find() !== undefined || this.hasEnded,
      () => `${what}\n${this.#story()}`,
    );
    const found = find();
    if (found === undefined) throw new Error(`The service ended before: ${what}\n${this.#story()}`);
    return found;
  }

  running(): Promise<LogLine> {
    return this.line((line) => line['state'] === 'running', 'the service runs');
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  ended(): Promise<Ended> {
    return this.#ended;
  }

  async kill(name: NodeJS.Signals): Promise<Ended> {
    if (!this.hasEnded) this.#child.kill(name);
    return this.#ended;
  }

  /** An answer of the service's own port. */
  async fetch(path: string): Promise<{ status: number; text: string; type: string }> {
    const answer = await fetch(`http://127.0.0.1:${this.port}${path}`, {
      signal: AbortSignal.timeout(10_000),
    });
    const type = answer.headers.get('content-type') ?? '';
    return { status: answer.status, text: await answer.text(), type };
  }

  /** The sum of a metric's samples whose labels are as given. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const { text } = await this.fetch('/metrics');
    const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
    return text
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      .filter((line) => wanted.every((label) => line.includes(label)))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  #logText(): string {
    return this.log.map((line) => JSON.stringify(line)).join('\n');
  }

  #story(): string {
    const last = this.log.slice(-15).map((line) => JSON.stringify(line));
    return [...last, this.#stderr].join('\n');
  }
}

/** Waits for a condition, and fails with what was waited for when it does not come true. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: () => string,
  timeoutMs = 60_000,
): Promise<void> {
  for (const deadline = Date.now() + timeoutMs; !(await condition()); await sleep(10)) {
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain: ${what()}`);
  }
}
