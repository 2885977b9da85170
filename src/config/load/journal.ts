import { resolve } from 'node:path';
import { JournalError } from '../../journal/journal.ts';
import { checkTlsFiles } from '../../journal/postgres-tls.ts';
import { readPostgresUrl, trustProblem } from '../../journal/postgres-url.ts';
import { readSecret } from '../../plug-in/secret.ts';
import { messageOf } from '../../words/message-of.ts';
import type { JournalConfig } from '../config.ts';
import type { ConfigFile } from '../schema/config-schema.ts';
import { usualJournalFile } from '../schema/journal-schema.ts';
import { found, type LoadContext } from './context.ts';
import type { SoundJournal } from './sound-parts.ts';

/** The connection string of a journal on PostgreSQL; undefined where there is none, or it has been reported. */
export async function journalUrl(
  { kind, url, allowUnverifiedServer }: SoundJournal,
  { env, directory, report }: LoadContext,
): Promise<string | undefined> {
  if (kind !== 'postgres' || url === undefined) return undefined;
  const say = (message: string, fix: string) => report(['journal', 'url'], message, fix);
  try {
    const text = typeof url === 'string' ? url : await readSecret(url, env, directory);
    const place = readPostgresUrl(text, env);
    await checkTlsFiles(place);
    const problem = allowUnverifiedServer === true ? undefined : trustProblem(place);
    if (problem === undefined) return text;
    say(
      problem,
      'add sslmode=verify-full (and sslrootcert=FILE for a CA of your own) to the connection string, or set journal.allowUnverifiedServer: true if you accept it',
    );
  } catch (error) {
    if (!(error instanceof JournalError)) say(messageOf(error), 'correct the reference');
    else {
      say(
        error.message.replace(/^journal\.url('s)? /, '').replace(/\.$/, ''),
        'write it as postgres://USER:PASSWORD@HOST:5432/DATABASE where the reference points',
      );
    }
  }
  return undefined;
}

/** @param connection what {@link journalUrl} gave. */
export function journalConfig(
  { kind, path = usualJournalFile, url, leaseSeconds, retentionDays }: ConfigFile['journal'],
  connection: string | undefined,
  directory: string,
): JournalConfig {
  const times = { leaseSeconds, retentionDays };
  if (kind === 'memory') return { kind, ...times };
  if (kind === 'sqlite') return { kind, path: resolve(directory, path), ...times };
  const isInFile = typeof url === 'object' && 'file' in url;
  const urlFile = isInFile ? resolve(directory, url.file) : undefined;
  return { kind, url: found(connection), urlFile, ...times };
}
