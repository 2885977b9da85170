import { resolve } from 'node:path';
import { z } from 'zod';
import type { AdapterDefinition } from '../../plug-in/certificate-authority.ts';
import { readCertificateFile } from '../../plug-in/pem-file.ts';
import { isSecretReference, readSecret } from '../../plug-in/secret.ts';
import { messageOf } from '../../words/message-of.ts';
import type { Path } from '../explain/document.ts';
import { explainIssues } from '../explain/explain-issue.ts';
import { type Schema, schemasAt } from '../explain/schema-path.ts';
import type { LoadContext } from './context.ts';

/** Options nested deeper than this are not looked into for secrets. */
const deepestOptions = 10;

export type OptionsContext = Omit<LoadContext, 'loadAdapter'>;

/**
 * Lets a kind check its options and looks whether the secrets and certificates they refer to are there. `path` is where
 * they stand in the file. Wrong ones are reported; there is no value then.
 */
export async function checkedOptions(
  definition: AdapterDefinition,
  data: unknown,
  path: Path,
  context: OptionsContext,
): Promise<{ readonly value: unknown } | undefined> {
  const schema = jsonSchemaOf(definition);
  await checkFiles(data, [], { path, schema, context });
  try {
    const checked = await definition.options.safeParseAsync(data);
    if (checked.success) return { value: checked.data };
    const found = explainIssues(checked.error.issues, { schema, data, prefix: path });
    for (const finding of found) context.report(...finding);
  } catch (error) {
    context.report(
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
      context.report([...search.path, ...inside], messageOf(error), 'correct the reference');
    }
    return;
  }
  for (const [key, inner] of Object.entries(value)) {
    await checkFiles(inner, [...inside, Array.isArray(value) ? Number(key) : key], search);
  }
}

async function checkCertificates(
  name: string,
  path: Path,
  { directory, report }: OptionsContext,
): Promise<void> {
  const file = resolve(directory, name);
  try {
    await readCertificateFile(file);
  } catch (error) {
    report(
      path,
      `no certificate could be read from ${file} (${messageOf(error).replace(/\.$/, '')})`,
      'name a file with certificates in PEM, DER or PKCS#7 (.p7b), readable for the user of the service',
    );
  }
}
