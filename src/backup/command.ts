import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { lstat, open, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Config } from '../config/config.ts';
import { messageOf } from '../words/message-of.ts';
import { backup, hasBackup, readMeName } from './backup.ts';
import { askForBackup } from './socket.ts';
import { beginsWith, blockBytes } from './tar.ts';

const usePgDump =
  'The journal is in PostgreSQL and is not part of it: make its backup with pg_dump -Fc, which is consistent while the service runs.';

/** What is said about an archive that no service made. */
const withoutService = {
  sqlite: 'no service runs here',
  postgres: 'the local CAs alone',
  memory: 'the local CAs alone',
} as const;

/** Writes the archive to `file` (0600), whole or not at all. Resolves with the exit status. */
export async function backupCommand(
  config: Config,
  file: string,
  print: (text: string) => void,
  signal: AbortSignal,
): Promise<number> {
  if (config.journal.kind === 'postgres') print(`${usePgDump}\n`);
  if (!hasBackup(config)) {
    print('There is nothing on this machine that this command could copy.\n');
    return 1;
  }
  const target = resolve(file);
  // It has a name of its own: another backup may be writing to the same file right now.
  const unfinished = `${target}.${randomBytes(4).toString('hex')}.new`;
  try {
    await refuseToReplace(target);
    const running = await askTheService(config, signal);
    const home = dirname(config.journal.kind === 'sqlite' ? resolve(config.journal.path) : target);
    const pieces = running ?? backup(config, undefined, home, signal);
    const bytes = await write(unfinished, pieces, signal);
    await rename(unfinished, target);
    await sync(dirname(target));
    const from =
      running === undefined ? withoutService[config.journal.kind] : 'made by the running service';
    print(
      `${target}: ${bytes} bytes (${from}). It holds secrets and keys: keep it as you keep those.\n`,
    );
    return 0;
  } catch (error) {
    await rm(unfinished, { force: true });
    const reason = signal.aborted ? signal.reason : error;
    print(`There is no backup: ${messageOf(reason)}\n`);
    return 1;
  }
}

async function askTheService({ journal }: Config, signal: AbortSignal) {
  if (journal.kind !== 'sqlite') return undefined;
  const running = await askForBackup(journal.path, signal);
  if (running === undefined && !existsSync(journal.path))
    throw new Error(`there is no journal ${journal.path}. Is this the service's configuration?`);
  return running;
}

/** An earlier backup may be replaced; the configuration, the journal, a key or a device that was named by mistake may not. */
async function refuseToReplace(target: string): Promise<void> {
  const isThere = existsSync(target) ? await lstat(target) : undefined;
  if (isThere === undefined) return;
  if (isThere.isFile()) {
    if (isThere.size === 0) return;
    await using handle = await open(target, 'r');
    const { buffer } = await handle.read(Buffer.alloc(blockBytes), 0, blockBytes, 0);
    if (beginsWith(buffer, readMeName)) return;
  }
  const what = isThere.isFile() ? 'is no backup of this program' : 'is no ordinary file';
  throw new Error(`${target} is there already and ${what}. Name a file that does not exist yet.`);
}

async function write(
  file: string,
  pieces: AsyncIterable<Buffer>,
  signal: AbortSignal,
): Promise<number> {
  await using handle = await open(file, 'wx', 0o600);
  let bytes = 0;
  for await (const piece of pieces) {
    signal.throwIfAborted();
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
