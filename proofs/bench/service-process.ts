import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuMs, memoryMiB } from './measured-process.ts';
import type { OutsideWorld } from './outside-world.ts';

/** The service as an administrator starts it, as a process of its own, measured from outside. */
export class ServiceProcess implements AsyncDisposable {
  /** From the start of the process until /readyz says yes, in milliseconds. */
  readonly readyAfterMs: number;
  readonly #child: ChildProcess;
  readonly #kill: () => void;

  private constructor(child: ChildProcess, kill: () => void, readyAfterMs: number) {
    this.#child = child;
    this.#kill = kill;
    this.readyAfterMs = readyAfterMs;
  }

  static async start(options: {
    readonly world: OutsideWorld;
    readonly directory: string;
    readonly name: string;
    readonly port: number;
    readonly journal: string;
    readonly nodeArguments?: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
  }): Promise<ServiceProcess> {
    const { world, directory, name, port, journal, nodeArguments = [], env = {} } = options;
    const configPath = join(directory, `${name}.yaml`);
    await writeFile(configPath, configuration(world, name, port, journal));
    const startedAt = performance.now();
    const args = [...nodeArguments, 'src/main.ts', 'serve', '--config', configPath];
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      // As the Dockerfile and the systemd unit start it.
      env: {
        ...process.env,
        MALLOC_ARENA_MAX: '1',
        NODE_COMPILE_CACHE: 'node_modules/.cache/certprov',
        ...env,
      },
    });
    const log = createWriteStream(join(directory, `${name}.log`));
    child.stdout.pipe(log);
    child.stderr.pipe(log);
    const kill = () => void child.kill('SIGKILL');
    process.on('exit', kill);
    await untilReady(port, child);
    return new ServiceProcess(child, kill, performance.now() - startedAt);
  }

  get cpuMs(): number {
    return cpuMs(this.#child.pid ?? 0);
  }

  get memoryMiB(): { readonly now: number; readonly peak: number } {
    return memoryMiB(this.#child.pid ?? 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGTERM');
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      await once(this.#child, 'exit');
    }
    process.off('exit', this.#kill);
  }
}

async function untilReady(port: number, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (child.exitCode === null && performance.now() < deadline) {
    try {
      const answer = await fetch(`http://127.0.0.1:${port}/readyz`);
      if (answer.ok) return;
    } catch {
      // Nobody listens yet.
    }
    await sleep(10);
  }
  throw new Error('The service did not become ready.');
}

function configuration(world: OutsideWorld, name: string, port: number, journal: string): string {
  return `instance: ${name}
google: { endpoint: ${world.rest}, credentials: none, requestsPerSecond: 10000 }
pubsub: { project: ${world.project}, subscription: ${world.subscription}, endpoint: ${world.pubsub} }
journal: ${journal}
authorities:
  default_ca_config: { kind: local-ca, options: { directory: ./ca } }
profiles:
  device_profile: { subject: "CN=\${DEVICE_SERIAL_NUMBER},O=Bench" }
  user_profile:
    subject: CN=\${USER_EMAIL},O=Bench
    subjectAltNames: [{ type: email, value: "\${USER_EMAIL}" }]
server: { port: ${port} }
`;
}
