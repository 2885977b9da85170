import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { z } from 'zod';
import type { SecretReference } from './certificate-authority.ts';

/*
 * A secret never stands in config.yaml, only the place where it is. An adapter declares such an option with
 * `secretReference` and reads it with its context's readSecret(). The schema carries the mark `secret`, by
 * which check-config finds the references in the options of any kind and looks whether they can be read.
 */

/** A secret longer than this is a mistake: some other file was named. In bytes. */
const longestSecretBytes = 64 * 1024;

const howToRefer =
  'Fix: put it into an environment variable and write { env: NAME }, or into a file and write { file: PATH }.';

/** Where a secret is: `{ env: NAME }` or `{ file: PATH }`. Text in its place is refused and not repeated. */
export const secretReference = z
  .union(
    [
      z.strictObject({
        env: z.string().min(1).describe('The name of an environment variable.'),
      }),
      z.strictObject({
        file: z.string().min(1).describe('A file; its final line break is not part of the secret.'),
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

/** The secret is not where the reference says. The message says what mends it and holds no secret. */
export class SecretError extends Error {
  override readonly name = 'SecretError';
}

/**
 * The secret's text without its final line break. A relative file starts at `directory`.
 * @throws {SecretError} when the variable is not set, the file cannot be read, or there is nothing in it.
 */
export async function readSecret(
  reference: SecretReference,
  env: Readonly<Record<string, string | undefined>>,
  directory: string,
): Promise<string> {
  if ('env' in reference) {
    const secret = env[reference.env];
    if (secret === undefined || secret === '') {
      throw new SecretError(
        `the environment variable ${reference.env} is not set. Fix: set it where the service is started.`,
      );
    }
    return secret;
  }
  const file = resolve(directory, reference.file);
  const secret = (await readText(file)).replace(/\r?\n$/, '');
  if (secret === '') {
    throw new SecretError(`the file ${file} is empty. Fix: write the secret into it.`);
  }
  return secret;
}

async function readText(file: string): Promise<string> {
  try {
    await using handle = await open(file, 'r');
    const buffer = Buffer.alloc(longestSecretBytes + 1);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
    if (bytesRead <= longestSecretBytes) return buffer.toString('utf8', 0, bytesRead);
  } catch (error) {
    throw new SecretError(
      `the file ${file} cannot be read (${reasonOf(error)}). Fix: correct the path, or make it readable for the service's user.`,
      { cause: error },
    );
  }
  throw new SecretError(
    `the file ${file} is larger than ${longestSecretBytes / 1024} KiB. Fix: name the file that holds the secret alone.`,
  );
}

function reasonOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
