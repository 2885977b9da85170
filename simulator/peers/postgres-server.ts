import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { chmod, chown, glob, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePort } from './free-port.ts';

export const howToGetPostgres = 'apt-get install postgresql-15';
const startTimeoutMs = 30_000;
const password = 'pass%word/with:traps';

/** The directory of the newest PostgreSQL's programs, or undefined. */
export async function findPostgres(): Promise<string | undefined> {
  const found: string[] = [];
  for await (const path of glob('/usr/lib/postgresql/*/bin/initdb')) found.push(path);
  found.sort((one, other) => one.localeCompare(other, 'en', { numeric: true }));
  return found.at(-1)?.replace(/\/initdb$/, '');
}

/** A PostgreSQL of our own on loopback, with an empty data directory that goes when it is disposed. */
export interface PostgresServer extends AsyncDisposable {
  readonly port: number;
  /** Where its socket is. */
  readonly directory: string;
  readonly password: string;
  /** For a user (the superuser by default) and one of the server's databases. */
  url(options?: { user?: string; password?: string; database?: string }): string;
  /** Ends every connection at once, as a crash or a fail-over does. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** All of its processes stand still, as on a machine that is suspended, until it is told to go on. */
  freeze(): void;
  thaw(): void;
}

/** @param prepare makes files in the server's directory, which become its own, and answers with settings (`name=value`). */
export async function startPostgres(
  prepare: (directory: string) => readonly string[] = () => [],
): Promise<PostgresServer> {
  const programs = await findPostgres();
  if (programs === undefined) throw new Error(`There is no PostgreSQL: ${howToGetPostgres}.`);
  const account = serverAccount();
  const directory = await mkdtemp(join(tmpdir(), 'certprov-postgres-'));
  const passwordFile = join(directory, 'password');
  const data = join(directory, 'data');
  await writeFile(passwordFile, password);
  if (account !== undefined) {
    await chown(directory, account.uid, account.gid);
    await chown(passwordFile, account.uid, account.gid);
  }
  await chmod(directory, 0o700);
  const initdb = ['-D', data, '-U', 'test', '-A', 'scram-sha-256', '--pwfile', passwordFile];
  execFileSync(join(programs, 'initdb'), [...initdb, '-E', 'UTF8', '--no-sync'], {
    stdio: 'pipe',
    cwd: directory,
    ...account,
  });
  const more = prepare(directory).flatMap((setting) => ['-c', setting]);
  if (account !== undefined) {
    execFileSync('chown', ['-R', `${account.uid}:${account.gid}`, directory]);
  }
  const port = await freePort();
  let server: ChildProcess | undefined;

  const start = async (): Promise<void> => {
    const settings = ['-D', data, '-p', String(port), '-k', directory, '-h', '127.0.0.1', ...more];
    server = spawn(join(programs, 'postgres'), settings, {
      stdio: ['ignore', 'ignore', 'pipe'],
      cwd: directory,
      ...account,
    });
    await untilReady(server);
  };
  const stop = async (): Promise<void> => {
    const running = server;
    server = undefined;
    if (running === undefined || running.exitCode !== null) return;
    const exited = once(running, 'exit');
    running.kill('SIGQUIT');
    await exited;
  };
  const signalAll = (signal: NodeJS.Signals): void => {
    const { pid } = server ?? {};
    if (pid === undefined) return;
    const children = execFileSync('ps', ['-o', 'pid=', '--ppid', String(pid)], {
      encoding: 'utf8',
    });
    for (const each of [pid, ...children.trim().split(/\s+/).map(Number)]) {
      signalIfThere(each, signal);
    }
  };
  const leaveNothing = (): void => {
    server?.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  };
  process.once('exit', leaveNothing);
  await start();

  return {
    port,
    directory,
    password,
    url({ user = 'test', password: given = password, database = 'postgres' } = {}) {
      return `postgres://${user}:${encodeURIComponent(given)}@127.0.0.1:${port}/${database}`;
    },
    start,
    stop,
    freeze: () => signalAll('SIGSTOP'),
    thaw: () => signalAll('SIGCONT'),
    async [Symbol.asyncDispose]() {
      await stop();
      process.off('exit', leaveNothing);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** PostgreSQL refuses to run as root: its own account is used then. */
export function serverAccount(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

/** A child may have gone since it was listed. */
function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

async function untilReady(server: ChildProcess): Promise<void> {
  if (server.stderr === null) throw new Error('The server’s messages are not read.');
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const said: string[] = [];
  const timer = setTimeout(
    () => reject(new Error(`PostgreSQL was not ready in time:\n${said.join('\n')}`)),
    startTimeoutMs,
  );
  server.once('exit', () => reject(new Error(`PostgreSQL ended:\n${said.join('\n')}`)));
  // Read to the end, so that the server never waits for us; only the beginning is kept.
  createInterface({ input: server.stderr }).on('line', (line) => {
    if (said.length < 100) said.push(line);
    if (line.includes('ready to accept connections')) resolve();
  });
  try {
    await promise;
  } finally {
    clearTimeout(timer);
  }
}
