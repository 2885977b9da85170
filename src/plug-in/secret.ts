import { resolve } from 'node:path';
import { z } from 'zod';
import { plainText, TextError } from '../words/plain-text.ts';
import type { SecretReference } from './certificate-authority.ts';
import { readLimited } from './read-limited.ts';

/*
 * A secret never appears in config.yaml, only the place where it is. An adapter declares such an option with
 * `secretReference` and reads it with its context's readSecret(). The schema carries the mark `secret`, by which
 * check-config finds the references in the options of any kind and checks that they can be read.
 */

/** A secret longer than this is a mistake: the wrong file was named. In bytes. */
const longestSecretBytes = 64 * 1024;

const howToRefer =
  'Fix: put it into an environment variable and write { env: NAME }, or into a file and write { file: PATH }.';

/** Where a secret is: `{ env: NAME }` or `{ file: PATH }`. Text in its place is refused and not repeated. */
export const secretReference = z
  .union(
    [
      z.strictObject({
        env: z
          .string()
          .min(1)
          .describe(
            'The name of an environment variable; line breaks at its end are not part of the secret.',
          ),
      }),
      z.strictObject({
        file: z
          .string()
          .min(1)
          .describe('A file (UTF-8); line breaks at its end are not part of the secret.'),
      }),
    ],
    {
      error: (issue) =>
        typeof issue.input === 'object' && issue.input !== null
          ? `a secret's place is either env or file, one of them and nothing else. ${howToRefer}`
          : `a secret is never written in the configuration itself. ${howToRefer}`,
    },
  )
  .meta({ secret: true });

/** Whether a value has the shape of a secret's reference. */
export function isSecretReference(value: unknown): value is SecretReference {
  return secretReference.safeParse(value).success;
}

/** The secret is not where the reference says. The message says how to fix it and holds no secret. */
export class SecretError extends Error {
  override readonly name = 'SecretError';
}

/**
 * The secret's text without a byte order mark, and without line breaks at its end: editors and `echo` leave them, and
 * no password has them. A relative file starts at `directory`.
 *
 * @throws {SecretError} when the variable is not set, or the file cannot be read, is not UTF-8, or is empty.
 */
export async function readSecret(
  reference: SecretReference,
  env: Readonly<Record<string, string | undefined>>,
  directory: string,
): Promise<string> {
  if ('env' in reference) {
    const secret = bare(env[reference.env] ?? '');
    if (secret === '') {
      throw new SecretError(
        `the environment variable ${reference.env} is not set. Fix: set it where the service is started.`,
      );
    }
    return secret;
  }
  const file = resolve(directory, reference.file);
  const secret = bare(textIn(file, await bytesIn(file)));
  if (secret === '') {
    throw new SecretError(`the file ${file} is empty. Fix: write the secret into it.`);
  }
  return secret;
}

function bare(text: string): string {
  return text.replace(/^\uFEFF/, '').replace(/[\r\n]+$/, '');
}

/** A password in another encoding would be sent as a different password, and refused. */
function textIn(file: string, bytes: Uint8Array): string {
  try {
    return plainText(bytes);
  } catch (error) {
    if (!(error instanceof TextError)) throw error;
    throw new SecretError(
      `the file ${file} cannot be used: ${error.message}. Fix: save it in UTF-8.`,
      { cause: error },
    );
  }
}

async function bytesIn(file: string): Promise<Uint8Array> {
  let bytes: Uint8Array | undefined;
  try {
    bytes = await readLimited(file, longestSecretBytes);
  } catch (error) {
    throw new SecretError(
      `the file ${file} cannot be read (${reasonOf(error)}). Fix: correct the path, or make it readable for the service's user.`,
      { cause: error },
    );
  }
  if (bytes !== undefined) return bytes;
  throw new SecretError(
    `the file ${file} is larger than ${longestSecretBytes / 1024} KiB. Fix: name the file that holds the secret alone.`,
  );
}

function reasonOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
