import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';

export const howToGetCmpMock =
  'apt-get install openssl iproute2 util-linux; it needs to make a network namespace, as root';

const namespaced = join(import.meta.dirname, '../adapters/commands/cmp-namespace.mjs');
const startTimeoutMs = 15_000;

/** Whether OpenSSL's CMP mock server can be run without opening a port to others. */
export function hasCmpMock(): boolean {
  if (spawnSync('unshare', ['-n', 'ip', 'link', 'set', 'lo', 'up']).status !== 0) return false;
  return /-port val/.test(spawnSync('openssl', ['cmp', '-help'], { encoding: 'utf8' }).stderr);
}

export interface CmpMock extends AsyncDisposable {
  readonly url: string;
}

/** `openssl cmp -port …` with further arguments. Files are named relative to `directory`. */
export async function startCmpMock(directory: string, given: readonly string[]): Promise<CmpMock> {
  const socketPath = join(directory, `cmp-${process.hrtime.bigint()}.sock`);
  const words = ['-n', process.execPath, namespaced, socketPath, ...given];
  const child = spawn('unshare', words, { cwd: directory, stdio: ['pipe', 'pipe', 'pipe'] });
  let log = '';
  const ready = Promise.withResolvers<void>();
  const timer = setTimeout(
    () => ready.reject(new Error(`not ready in time: ${log}`)),
    startTimeoutMs,
  );
  child.stderr.on('data', (chunk) => {
    log = (log + chunk).slice(-20_000);
  });
  child.stdout.on('data', (chunk) => {
    if (String(chunk).includes('ready')) ready.resolve();
  });
  child.once('exit', () => ready.reject(new Error(`the mock server ended: ${log}`)));
  try {
    await ready.promise;
  } finally {
    clearTimeout(timer);
  }
  const bridge = createServer((near) => {
    const far = connect(socketPath);
    near.pipe(far).pipe(near);
    near.on('error', () => far.destroy());
    far.on('error', () => near.destroy());
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  }).listen(0, '127.0.0.1');
  await once(bridge, 'listening');
  const address = bridge.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: `http://127.0.0.1:${address.port}/pkix/`,
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit');
      child.stdin.end();
      if (child.exitCode === null) await ended;
      bridge.close();
    },
  };
}
