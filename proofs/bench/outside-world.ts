import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'undici';
import { z } from 'zod';

/*
 * The simulator as a process of its own, so that its work is not counted as the worker's, spoken to over its
 * management port.
 */

const greeting = z.object({
  rest: z.string(),
  pubsub: z.string(),
  management: z.string(),
  project: z.string(),
  subscription: z.string(),
});
const added = z.object({ processes: z.array(z.object({ id: z.string(), customer: z.string() })) });
const seen = z.object({
  processes: z.array(
    z.object({
      id: z.string(),
      key: z.enum(['rsa', 'ec']),
      state: z.string(),
      calls: z.record(z.string(), z.number()),
      times: z.object({
        startedAt: z.number(),
        signedAt: z.number().optional(),
        endedAt: z.number().optional(),
      }),
    }),
  ),
});
const uploaded = z.object({ certificatePem: z.string() });
const summed = z.record(z.string(), z.number());

export type Added = z.output<typeof added>['processes'][number];
export type Seen = z.output<typeof seen>['processes'][number];

/** What the management port takes for devices; see simulator/README.md. */
export interface DeviceSpec {
  readonly count: number;
  readonly key?: 'rsa' | 'ec';
  readonly subject?: 'device' | 'user';
  readonly signs?: 'promptly' | 'never';
  readonly signAfterMs?: number;
  readonly notify?: boolean;
}

export class OutsideWorld implements AsyncDisposable {
  readonly rest: string;
  readonly pubsub: string;
  readonly project: string;
  readonly subscription: string;
  readonly #child: ChildProcess;
  readonly #client: Client;

  private constructor(child: ChildProcess, hello: z.output<typeof greeting>) {
    this.#child = child;
    this.#client = new Client(hello.management, { bodyTimeout: 120_000, headersTimeout: 120_000 });
    this.rest = hello.rest;
    this.pubsub = hello.pubsub;
    this.project = hello.project;
    this.subscription = hello.subscription;
  }

  static async start(): Promise<OutsideWorld> {
    const ports = ['--port', '0', '--pubsub-port', '0', '--management-port', '0'];
    // The bare client uploads another device's certificate, which must be taken; nothing else differs from a good day.
    const args = ['simulator/main.ts', ...ports, '--faults', '0', '--signing-delay', '5'];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout });
    const [line] = await once(lines, 'line', { signal: AbortSignal.timeout(20_000) });
    child.stdout.resume();
    const world = new OutsideWorld(child, greeting.parse(JSON.parse(String(line))));
    await world.#post('/faults', { wrongUpload: 200, uploadTwice: 200, signDataTwice: 400 });
    return world;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async add(spec: DeviceSpec): Promise<Added[]> {
    return added.parse(await this.#post('/devices', spec)).processes;
  }

  async summary(): Promise<Record<string, number>> {
    return summed.parse(await this.#request('GET', '/summary'));
  }

  /** The certificate that was uploaded for a process, PEM. */
  async certificateOf(id: string): Promise<string> {
    return uploaded.parse(await this.#request('GET', `/processes/${id}`)).certificatePem;
  }

  async processes(): Promise<Seen[]> {
    return seen.parse(await this.#request('GET', '/processes')).processes;
  }

  /** Waits until so many processes are delivered; throws when it takes longer than `withinMs`. */
  async delivered(count: number, withinMs: number): Promise<void> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      const { delivered = 0 } = await this.summary();
      if (delivered >= count) return;
      if (performance.now() > deadline) {
        throw new Error(
          `Only ${delivered} of ${count} were delivered within ${withinMs / 1_000} s.`,
        );
      }
      // Each look costs the simulator something; when what was done is told by its own clock.
      await sleep(250);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.close();
    this.#child.kill('SIGTERM');
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
  }

  #post(path: string, body: unknown): Promise<unknown> {
    return this.#request('POST', path, JSON.stringify(body));
  }

  async #request(method: 'GET' | 'POST', path: string, body?: string): Promise<unknown> {
    const headers = { 'content-type': 'application/json' };
    const answer = await this.#client.request({ method, path, headers, body: body ?? null });
    const json: unknown = await answer.body.json();
    if (answer.statusCode !== 200) throw new Error(`${path}: ${JSON.stringify(json)}`);
    return json;
  }
}
