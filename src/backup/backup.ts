import { mkdir, mkdtemp, readdir, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { backup as copyDatabase, DatabaseSync } from 'node:sqlite';
import type { Config } from '../config/config.ts';
import type { Journal } from '../journal/journal.ts';
import { sqliteJournalError } from '../journal/sqlite-error.ts';
import { type TarEntry, tar } from './tar.ts';

/*
 * What has to be kept of an installation, as one archive: the SQLite journal, and what authorities keep on this
 * machine. The journal is copied first, so what the authorities know is never older: an order that the journal does
 * not remember yet gets the same certificate again, but no certificate is known to the journal and not to its
 * authority.
 */

/** Followed by the number of the process that makes the copy, and a hyphen. */
const prefix = '.certprov-backup-';

/** The archive begins with this. */
export const readMeName = 'RESTORE.txt';

/** What the service needs for itself while the copy lies beside its journal. In bytes. */
const leftToTheService = 4 * 1024 * 1024;

/** Whether this configuration keeps anything that the command can copy. */
export function hasBackup({ journal, authorities }: Config): boolean {
  return (
    journal.kind === 'sqlite' ||
    authorities.values().some(({ definition }) => definition.backup !== undefined)
  );
}

/**
 * The archive in pieces. `journal` is the open one; without it the file is opened, which works while no service has
 * it. The copies are in `home` for a moment.
 *
 * @throws {Error} with what could not be copied and why.
 */
export async function* backup(
  config: Config,
  journal: Journal | undefined,
  home: string,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  await sweep(home);
  await refuseWithoutRoom(config, home);
  const directory = await mkdtemp(join(home, `${prefix}${process.pid}-`));
  try {
    yield* tar(await copyAll(config, journal, directory, signal));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function copyAll(
  config: Config,
  journal: Journal | undefined,
  directory: string,
  signal: AbortSignal,
): Promise<readonly TarEntry[]> {
  const origins: string[] = [];
  if (config.journal.kind === 'sqlite') {
    const { path } = config.journal;
    const copy = join(directory, 'journal.db');
    if (journal?.backup === undefined) await copyClosedJournal(path, copy, signal);
    else await journal.backup(copy, signal);
    origins.push(
      `journal.db is ${resolve(path)}; delete the files ${path}-wal and ${path}-shm there.`,
    );
  }
  for (const [reference, { definition, options }] of config.authorities) {
    if (definition.backup === undefined) continue;
    const name = `authorities/${encodeURIComponent(reference)}`;
    const into = join(directory, name);
    await mkdir(into, { recursive: true, mode: 0o700 });
    const resolvePath = (path: string) => resolve(config.directory, path);
    origins.push(`${name}/ is ${await definition.backup(options, resolvePath, into)}.`);
    signal.throwIfAborted();
  }
  const readMe = ['Stop the service, then put back:', ...origins, ''].join('\n');
  await writeFile(join(directory, readMeName), readMe);
  return (await filesIn(directory)).map((path) => ({ path, name: relative(directory, path) }));
}

async function copyClosedJournal(path: string, copy: string, signal: AbortSignal): Promise<void> {
  try {
    using database = new DatabaseSync(path, { readOnly: true });
    // Copying alone would not reveal that another process has it.
    database.prepare('SELECT count(*) FROM sqlite_schema').get();
    await copyDatabase(database, copy, { progress: () => signal.throwIfAborted() });
  } catch (error) {
    signal.throwIfAborted();
    throw sqliteJournalError(error, 'copied', path);
  }
}

async function filesIn(directory: string): Promise<string[]> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true });
  return found
    .filter((each) => each.isFile())
    .map((each) => join(each.parentPath, each.name))
    .toSorted();
}

/** If the copy filled the disk, it would stop the very service that it copies. */
async function refuseWithoutRoom({ journal }: Config, home: string): Promise<void> {
  if (journal.kind !== 'sqlite') return;
  const sizes = [journal.path, `${journal.path}-wal`].map(async (path) => {
    try {
      return (await stat(path)).size;
    } catch {
      return 0; // What is missing is reported where it is copied.
    }
  });
  const needed = (await Promise.all(sizes)).reduce((sum, size) => sum + size, leftToTheService);
  const { bavail, bsize } = await statfs(home);
  if (bavail * bsize >= needed) return;
  const mebibytes = (bytes: number) => Math.ceil(bytes / 1024 ** 2);
  throw new Error(
    `In ${home} are ${mebibytes(bavail * bsize)} MiB free, and a copy of the journal needs ${mebibytes(needed)} MiB for a moment.`,
  );
}

/** What a crash left behind. Others may be making a backup there, and have names that begin alike. */
async function sweep(home: string): Promise<void> {
  for (const name of await readdir(home)) {
    const maker = /^\.certprov-backup-(\d{1,10})-\w{6}$/.exec(name)?.[1];
    if (maker !== undefined && !isAtWork(Number(maker))) {
      await rm(join(home, name), { recursive: true, force: true });
    }
  }
}

/** This process makes one backup at a time: what has its own number was left by one before it, as in a container. */
function isAtWork(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
