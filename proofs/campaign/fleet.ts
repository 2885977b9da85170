import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Armed } from './crash-points.ts';
import { type WorkerWorld, workerConfig } from './worker-config.ts';

export type ToWorker =
  | { readonly kind: 'arm'; readonly armed: Armed }
  | { readonly kind: 'summary' };
export type FromWorker =
  | { readonly kind: 'running' }
  | { readonly kind: 'summary'; readonly open: number; readonly closed: number };

/** One life of one instance: a worker process. A replacement is another instance, with another name. */
export interface Life {
  readonly instance: string;
  readonly trailPath: string;
  readonly logPath: string;
  readonly child: ChildProcess;
  readonly exited: Promise<unknown>;
  running: boolean;
  /** When it ended, and whether a signal did it. */
  ended: { readonly at: number; readonly killed: boolean } | undefined;
  /** It was told to stop. */
  stopping: boolean;
}

export interface FleetOptions {
  readonly directory: string;
  readonly world: WorkerWorld;
  readonly databaseUrl?: string;
  readonly onSummary: (open: number, closed: number) => void;
}

const entry = join(import.meta.dirname, 'worker.ts');

/** The worker processes of a campaign, dead ones included. */
export class Fleet implements AsyncDisposable {
  readonly lives: Life[] = [];
  /** Lives that ended by themselves after they had been running. */
  readonly deserters: Life[] = [];
  readonly #options: FleetOptions;
  readonly #killAll = () => {
    for (const life of this.alive) life.child.kill('SIGKILL');
  };
  #armed: Armed = { points: [], token: '' };

  constructor(options: FleetOptions) {
    this.#options = options;
    // However the campaign ends, no worker outlives it.
    process.on('exit', this.#killAll);
  }

  get alive(): Life[] {
    return this.lives.filter((life) => life.ended === undefined);
  }

  start(): Life {
    const { directory, world, databaseUrl } = this.#options;
    const instance = `instance-${this.lives.length + 1}`;
    const configPath = join(directory, `${instance}.yaml`);
    const trailPath = join(directory, `${instance}.trail`);
    const logPath = join(directory, `${instance}.log`);
    writeFileSync(configPath, workerConfig(world, instance));
    writeFileSync(trailPath, '');
    const log = openSync(logPath, 'w', 0o600);
    const child = spawn(process.execPath, [entry, configPath, trailPath], {
      stdio: ['ignore', log, log, 'ipc'],
      env: {
        ...process.env,
        NODE_COMPILE_CACHE: join(directory, 'compiled'),
        CAMPAIGN_ARMED: JSON.stringify(this.#armed),
        ...(databaseUrl === undefined ? {} : { CAMPAIGN_DATABASE_URL: databaseUrl }),
      },
    });
    const exited = once(child, 'exit');
    const life: Life = {
      instance,
      trailPath,
      logPath,
      child,
      exited,
      running: false,
      ended: undefined,
      stopping: false,
    };
    child.on('message', (message: FromWorker) => this.#heard(life, message));
    child.on('exit', (_code, signal) => this.#ended(life, signal));
    this.lives.push(life);
    return life;
  }

  /** The first of the living to pass one of the points dies. */
  arm(armed: Armed): void {
    this.#armed = armed;
    for (const life of this.alive) send(life, { kind: 'arm', armed });
  }

  disarm(): void {
    this.arm({ points: [], token: '' });
  }

  askForSummary(): void {
    const life = this.alive.find(({ running }) => running);
    if (life !== undefined) send(life, { kind: 'summary' });
  }

  kill(life: Life): void {
    life.child.kill('SIGKILL');
  }

  async stopAll(): Promise<void> {
    const alive = this.alive;
    for (const life of alive) {
      life.stopping = true;
      life.child.kill('SIGTERM');
    }
    const patience = new AbortController();
    const over = sleep(40_000, undefined, { signal: patience.signal }).then(this.#killAll, () => {
      // Everything ended in time.
    });
    await Promise.all(alive.map(({ exited }) => exited));
    patience.abort();
    await over;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#killAll();
    await Promise.all(this.lives.map(({ exited }) => exited));
    process.off('exit', this.#killAll);
  }

  #heard(life: Life, message: FromWorker): void {
    if (message.kind === 'summary') {
      this.#options.onSummary(message.open, message.closed);
      return;
    }
    life.running = true;
    // It was armed at its birth; that may be over.
    send(life, { kind: 'arm', armed: this.#armed });
  }

  #ended(life: Life, signal: NodeJS.Signals | null): void {
    life.ended = { at: Date.now(), killed: signal === 'SIGKILL' };
    if (signal === null && life.running && !life.stopping) this.deserters.push(life);
  }
}

function send(life: Life, message: ToWorker): void {
  // A worker that has just died hears nothing, and need not.
  if (life.child.connected) life.child.send(message, () => undefined);
}
