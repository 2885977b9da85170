import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { backup as copyDatabase, DatabaseSync } from 'node:sqlite';
import type { Config } from '../config.ts';
import type { Journal } from '../journal/journal.ts';
import { sqliteJournalError } from '../journal/sqlite-error.ts';
import { type TarEntry, tar } from './tar.ts';

/*
 * What has to be kept of an installation, in one archive: the SQLite journal, and what authorities keep on this machine. The journal is
 * copied first, so what the authorities know is never older: an order that the journal does not remember yet gets
 * the same certificate again, but no certificate is known to the journal and not to its authority.
 */

/** Copies lie beside the originals for a moment: there is room, and the same rights. */
const prefix = '.backup-';

/** Whether this configuration keeps anything that the command can copy. */
export function hasBackup({ journal, authorities }: Config): boolean {
  return (
    journal.kind === 'sqlite' ||
    authorities.values().some(({ definition }) => definition.backup !== undefined)
  );
}

/**
 * The archive in pieces. `journal` is the open one; without it the file is opened, which works while no service has it.
 *
 * @throws {Error} with what could not be copied and why.
 */
export async function* backup(
  config: Config,
  journal: Journal | undefined,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const home =
    config.journal.kind === 'sqlite' ? dirname(resolve(config.journal.path)) : config.directory;
  await sweep(home);
  const directory = await mkdtemp(join(home, prefix));
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
    if (journal?.backup === undefined) await copyClosedJournal(path, copy);
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
  await writeFile(join(directory, 'RESTORE.txt'), readMe);
  return (await filesIn(directory)).map((path) => ({ path, name: relative(directory, path) }));
}

async function copyClosedJournal(path: string, copy: string): Promise<void> {
  try {
    using database = new DatabaseSync(path, { readOnly: true });
    // The copying alone would not say that another process has it.
    database.prepare('SELECT count(*) FROM sqlite_schema').get();
    await copyDatabase(database, copy);
  } catch (error) {
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

/** What a crash left behind. One backup at a time is made. */
async function sweep(home: string): Promise<void> {
  const left = (await readdir(home)).filter((name) => name.startsWith(prefix));
  for (const name of left) await rm(join(home, name), { recursive: true, force: true });
}
