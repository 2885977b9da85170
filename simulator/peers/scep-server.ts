import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempDisposable, readFile, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { type LoopbackProcess, startProcess } from './loopback-process.ts';

/*
 * micromdm's scepserver, as Debian packages it, binds every interface of the machine. So it runs in a network
 * namespace of its own, where there is only loopback. The way in is a Unix socket, because those do not care
 * for network namespaces; on our side a port of loopback leads there.
 */

export const howToGetScepServer =
  'apt-get install scep iproute2, and the right to unshare -n, as root has it';
const startTimeoutMs = 20_000;
const innerPort = 8080;

const namespaced = ['--net', '--pid', '--fork', '--kill-child'] as const;

/** From the Unix socket to the server, inside the namespace. */
const relay = `
  const net = require('node:net');
  net.createServer((outside) => {
    const inside = net.connect(${innerPort}, '127.0.0.1');
    for (const end of [outside, inside]) {
      end.on('error', () => undefined);
      end.on('close', () => { outside.destroy(); inside.destroy(); });
    }
    outside.pipe(inside).pipe(outside);
  }).listen(process.argv[1]);`;

export function scepServerIsThere(): boolean {
  const lo = ['ip', 'link', 'set', 'lo', 'up'];
  return (
    spawnSync('scepserver', ['-version']).error === undefined &&
    spawnSync('unshare', [...namespaced, ...lo]).status === 0
  );
}

export interface ScepServer extends LoopbackProcess {
  readonly url: string;
  readonly challenge: string;
  /** DER. */
  readonly ca: Uint8Array;
}

export async function startScepServer(): Promise<ScepServer> {
  const directory = await mkdtempDisposable(join(tmpdir(), 'certprov-scep-'));
  const challenge = 'a challenge, for micromdm';
  const depot = join(directory.path, 'depot');
  const init = ['ca', '-init', '-depot', depot, '-keySize', '2048'];
  execFileSync('scepserver', init, { stdio: 'pipe' });
  const ca = new X509Certificate(await readFile(join(depot, 'ca.pem')));
  const socket = join(directory.path, 'socket');
  const script = `ip link set lo up
    scepserver -depot "$1" -port ${innerPort} -challenge "$2" -crtvalid 90 -allowrenew 0 &
    exec "$3" -e "$4" "$5"`;
  const words = [script, 'sh', depot, challenge, process.execPath, relay, socket];
  const running = await startProcess('unshare', [...namespaced, 'sh', '-c', ...words], {
    ports: [],
    directory: directory.path,
  });
  const door = new Door(socket);
  const server: ScepServer = {
    url: `http://127.0.0.1:${await door.open()}/scep`,
    challenge,
    ca: new Uint8Array(ca.raw),
    output: () => running.output(),
    freeze: () => door.close(),
    async [Symbol.asyncDispose]() {
      await door[Symbol.asyncDispose]();
      await running[Symbol.asyncDispose]();
      // The depot's files are read-only.
      await rm(directory.path, { recursive: true, force: true });
    },
  };
  try {
    await untilAnswering(server.url, running);
    return server;
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}

/** A port of loopback that leads to a Unix socket. */
class Door implements AsyncDisposable {
  readonly #server: Server;
  readonly #visitors = new Set<Socket>();
  #closed = false;

  constructor(path: string) {
    this.#server = createServer((outside) => {
      this.#visitors.add(outside);
      outside.on('close', () => this.#visitors.delete(outside));
      outside.on('error', () => undefined); // It closes, too.
      if (!this.#closed) joinSockets(outside, connect(path));
    });
  }

  async open(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#closed = true;
    for (const visitor of this.#visitors) visitor.unpipe();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const visitor of this.#visitors) visitor.destroy();
  }
}

function joinSockets(outside: Socket, inside: Socket): void {
  inside.on('error', () => undefined); // It closes, too.
  inside.on('close', () => outside.destroy());
  outside.on('close', () => inside.destroy());
  outside.pipe(inside).pipe(outside);
}

async function untilAnswering(url: string, running: LoopbackProcess): Promise<void> {
  for (const until = Date.now() + startTimeoutMs; ; await sleepFor(50)) {
    try {
      const answer = await fetch(`${url}?operation=GetCACaps`);
      if ((await answer.text()) !== '' && answer.ok) return;
    } catch (error) {
      if (Date.now() > until) {
        throw new Error(`scepserver does not answer: ${running.output()}`, { cause: error });
      }
    }
  }
}
