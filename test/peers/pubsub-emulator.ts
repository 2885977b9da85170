import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, globSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../simulator/peers/free-port.ts';

const jarPattern =
  '/usr/lib/google-cloud-sdk/platform/pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar';

/** Whether Google's Pub/Sub emulator and a Java to run it are on this machine. */
export function emulatorIsThere(): boolean {
  return globSync(jarPattern).length > 0 && isOnPath('java');
}

export const howToGetEmulator =
  'package google-cloud-cli-pubsub-emulator of Google’s apt repository, and a Java runtime';

/** Google's Pub/Sub emulator on a loopback port. It keeps everything in memory only. */
export class PubsubEmulator implements AsyncDisposable {
  readonly port: number;
  readonly project = 'certprov-test';
  #process: ChildProcess | undefined;
  #directory: string | undefined;

  private constructor(port: number) {
    this.port = port;
  }

  static async start(): Promise<PubsubEmulator> {
    const emulator = new PubsubEmulator(await freePort());
    await emulator.start();
    return emulator;
  }

  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const [jar] = globSync(jarPattern);
    if (jar === undefined) throw new Error('The Pub/Sub emulator is not on this machine.');
    this.#directory = mkdtempSync(join(tmpdir(), 'certprov-emulator-'));
    const options = ['--host=127.0.0.1', `--port=${this.port}`];
    this.#process = spawn('java', ['-Xmx256m', '-jar', jar, ...options], {
      cwd: this.#directory,
      stdio: 'ignore',
    });
    await this.#answers();
  }

  async stop(): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    if (process !== undefined && process.exitCode === null && process.signalCode === null) {
      process.kill('SIGKILL');
      await once(process, 'exit');
    }
    if (this.#directory !== undefined) rmSync(this.#directory, { recursive: true, force: true });
    this.#directory = undefined;
  }

  async createTopic(topic: string): Promise<void> {
    await this.#rest('PUT', `topics/${topic}`, {});
  }

  async createSubscription(subscription: string, topic: string): Promise<void> {
    await this.#rest('PUT', `subscriptions/${subscription}`, {
      topic: `projects/${this.project}/topics/${topic}`,
      ackDeadlineSeconds: 10,
    });
  }

  async publish(topic: string, ...bodies: readonly Uint8Array[]): Promise<void> {
    const messages = bodies.map((body) => ({ data: Buffer.from(body).toString('base64') }));
    await this.#rest('POST', `topics/${topic}:publish`, { messages });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #rest(method: string, path: string, body: object): Promise<void> {
    const url = `http://${this.host}/v1/projects/${this.project}/${path}`;
    const answer = await fetch(url, {
      method,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  }

  async #answers(): Promise<void> {
    for (const deadline = Date.now() + 30_000; Date.now() < deadline; ) {
      try {
        await fetch(`http://${this.host}/`, { signal: AbortSignal.timeout(1_000) });
        return;
      } catch {
        // It is not up yet.
        await sleep(100);
      }
    }
    throw new Error('The Pub/Sub emulator did not start within 30 s.');
  }
}

function isOnPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program));
      return true;
    } catch {
      return false;
    }
  });
}
