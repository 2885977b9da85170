import { resolve } from 'node:path';
import { readSecret } from '../../plug-in/secret.ts';
import { messageOf } from '../../words/message-of.ts';
import { isRecord } from '../../words/record.ts';
import type { ConfigFile } from '../schema/config-schema.ts';
import type { LoadContext } from './context.ts';
import type { SoundGoogle } from './sound-parts.ts';

/** Looks whether the file of credentials is one that can be used. */
export async function checkKeyFile(
  { credentials }: SoundGoogle,
  { env, directory, report }: LoadContext,
): Promise<void> {
  if (typeof credentials !== 'object') return;
  const say = (message: string, fix: string) =>
    report(['google', 'credentials', 'file'], message, fix);
  try {
    if (isKeyFile(await readSecret(credentials, env, directory))) return;
    say(
      `the file ${resolve(directory, credentials.file)} is neither a service-account key nor a workload-identity file`,
      'name the JSON file that Google Cloud gave, unchanged',
    );
  } catch (error) {
    say(messageOf(error), 'correct the reference');
  }
}

const keyFileTypes: readonly unknown[] = ['service_account', 'external_account'];

function isKeyFile(text: string): boolean {
  try {
    const json: unknown = JSON.parse(text);
    return isRecord(json) && keyFileTypes.includes(json['type']);
  } catch {
    // The parser's error would quote the file, and the file is a secret.
    return false;
  }
}

export function googleConfig(
  { credentials, ...google }: ConfigFile['google'],
  directory: string,
): ConfigFile['google'] {
  if (typeof credentials !== 'object') return { ...google, credentials };
  return { ...google, credentials: { file: resolve(directory, credentials.file) } };
}
