import { resolve } from 'node:path';
import { z } from 'zod';
import type { AdapterDefinition } from '../plug-in/certificate-authority.ts';
import { readCertificateFile } from '../plug-in/pem-file.ts';
import { isSecretReference, readSecret } from '../plug-in/secret.ts';
import type { ResolveContext } from './config.ts';
import type { Path } from './document.ts';
import { explainIssues } from './explain-issue.ts';
import { type Schema, schemasAt } from './schema-path.ts';

/** Options nested deeper than this are not looked into for secrets. */
const deepestOptions = 10;

export type OptionsContext = Pick<ResolveContext, 'env' | 'directory' | 'document' | 'report'>;

/**
 * Lets a kind check its options and looks whether the secrets they refer to are there. `path` is where they
 * stand in the file. Wrong ones are reported; there is no value then.
 */
export async function resolveOptions(
  definition: AdapterDefinition,
  raw: unknown,
  path: Path,
  context: OptionsContext,
): Promise<{ readonly value: unknown } | undefined> {
  const data = raw ?? {};
  const schema = jsonSchemaOf(definition);
  await checkFiles(data, [], { path, schema, context });
  try {
    const checked = await definition.options.safeParseAsync(data);
    if (checked.success) return { value: checked.data };
    const source = {
      document: context.document,
      schema,
      data,
      prefix: path,
    };
    for (const problem of explainIssues(checked.error.issues, source)) context.report(problem);
  } catch (error) {
    report(
      context,
      path,
      `the kind's own check of its options failed: ${messageOf(error)}`,
      'this is a fault of the adapter: tell its author',
    );
  }
  return undefined;
}

/** JSON Schema of an adapter's options; an empty one when its schema cannot be written as that. */
function jsonSchemaOf(definition: AdapterDefinition): Schema {
  try {
    return z.toJSONSchema(definition.options, { io: 'input', unrepresentable: 'any' });
  } catch {
    // A plug-in may bring another zod. Its problems are then reported without the nearest key.
    return {};
  }
}

interface FileSearch {
  /** The path of the options in the file. */
  readonly path: Path;
  readonly schema: Schema;
  readonly context: OptionsContext;
}

/**
 * Looks whether every secret and every file of certificates that the options refer to can be read; the adapter
 * reads it later.
 */
async function checkFiles(value: unknown, inside: Path, search: FileSearch): Promise<void> {
  const { context } = search;
  const hasMark = (mark: 'secret' | 'certificates') =>
    schemasAt(search.schema, inside).some((schema) => schema[mark] === true);
  if (typeof value === 'string' && hasMark('certificates')) {
    await checkCertificates(value, [...search.path, ...inside], context);
  }
  if (typeof value !== 'object' || value === null || inside.length > deepestOptions) return;
  if (hasMark('secret') && isSecretReference(value)) {
    try {
      await readSecret(value, context.env, context.directory);
    } catch (error) {
      report(context, [...search.path, ...inside], messageOf(error), 'correct the reference');
    }
    return;
  }
  for (const [key, inner] of Object.entries(value)) {
    await checkFiles(inner, [...inside, Array.isArray(value) ? Number(key) : key], search);
  }
}

async function checkCertificates(name: string, path: Path, context: OptionsContext): Promise<void> {
  const file = resolve(context.directory, name);
  try {
    await readCertificateFile(file);
  } catch (error) {
    report(
      context,
      path,
      `no certificate could be read from ${file} (${messageOf(error).replace(/\.$/, '')})`,
      'name a file with certificates in PEM, DER or PKCS#7 (.p7b), readable for the user of the service',
    );
  }
}

function report(context: OptionsContext, path: Path, message: string, fix: string): void {
  context.report(context.document.problem(path, message, fix));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
