import { open, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Config } from '../config.ts';
import { backup, hasBackup } from './backup.ts';
import { askForBackup } from './socket.ts';

const usePgDump =
  'The journal is in PostgreSQL and is not part of it: make its backup with pg_dump -Fc, which is consistent while the service runs.';

/** Writes the archive to `file` (0600), whole or not at all. Resolves with the exit status. */
export async function backupCommand(
  config: Config,
  file: string,
  print: (text: string) => void,
): Promise<number> {
  if (config.journal.kind === 'postgres') print(`${usePgDump}\n`);
  if (!hasBackup(config)) {
    print('There is nothing on this machine that this command could copy.\n');
    return 1;
  }
  const target = resolve(file);
  const unfinished = `${target}.new`;
  const { signal } = new AbortController();
  try {
    const { journal } = config;
    const running =
      journal.kind === 'sqlite' ? await askForBackup(journal.path, signal) : undefined;
    const bytes = await write(unfinished, running ?? backup(config, undefined, signal));
    await rename(unfinished, target);
    await sync(dirname(target));
    const from = running === undefined ? 'no service runs here' : 'made by the running service';
    print(
      `${target}: ${bytes} bytes (${from}). It holds secrets and keys: keep it as you keep those.\n`,
    );
    return 0;
  } catch (error) {
    await rm(unfinished, { force: true });
    print(`There is no backup: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}

async function write(file: string, pieces: AsyncIterable<Buffer>): Promise<number> {
  await rm(file, { force: true });
  await using handle = await open(file, 'wx', 0o600);
  let bytes = 0;
  for await (const piece of pieces) {
    bytes += piece.length;
    await handle.writeFile(piece);
  }
  await handle.sync();
  return bytes;
}

async function sync(directory: string): Promise<void> {
  await using handle = await open(directory, 'r');
  await handle.sync();
}
