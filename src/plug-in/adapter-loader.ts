import { readFileSync, statSync } from 'node:fs';
import { createRequire, findPackageJSON, isBuiltin } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../words/message-of.ts';
import { nearestName } from '../words/nearest-name.ts';
import { isRecord } from '../words/record.ts';
import type { AdapterDefinition } from './certificate-authority.ts';
import { checkedPlugIn } from './checked-plug-in.ts';
import { importPlugIn } from './import-plug-in.ts';
import { loadProblem } from './plug-in-load-error.ts';
import { shown } from './plug-in-values.ts';

/** What the module of a kind has to look like. */
interface AdapterModule {
  readonly default: AdapterDefinition;
}

/** Kinds that come with the project, each loaded only when a configuration names it. */
export type BuiltInAdapters = Readonly<Record<string, () => Promise<AdapterModule>>>;

/**
 * Finds the adapter that a configuration calls `kind`: a built-in name, a path that starts with `./`, `../` or `/`,
 * or the name of an installed package. `directory` is the configuration file's.
 *
 * @throws {AdapterLoadError} when there is none, or when what is there is not an adapter.
 */
export type LoadAdapter = (kind: string, directory: string) => Promise<AdapterDefinition>;

/** A kind of CA cannot be loaded. The message says why; `fix` says how to fix it where the message does not. */
export class AdapterLoadError extends Error {
  override readonly name = 'AdapterLoadError';
  readonly fix: string;

  constructor(message: string, { fix = 'correct the plug-in', ...options }: LoadErrorOptions = {}) {
    super(message, options);
    this.fix = fix;
  }
}

interface LoadErrorOptions extends ErrorOptions {
  readonly fix?: string;
}

const otherKind =
  'write a kind that docs/run/configuration.md lists, a path like ./my-ca.ts, or an installed package';

/** The map is passed in because only main.ts may know adapters/. */
export function adapterLoader(
  builtIns: BuiltInAdapters,
  { longestImportMs }: { readonly longestImportMs?: number } = {},
): LoadAdapter {
  return async (kind, directory) => {
    const builtIn = Object.hasOwn(builtIns, kind) ? builtIns[kind] : undefined;
    if (builtIn !== undefined) return (await builtIn()).default;
    const file = isPath(kind)
      ? existingFile(kind, directory)
      : packageEntry(kind, directory, Object.keys(builtIns));
    const loaded = await importFile(kind, file, longestImportMs);
    return checkedPlugIn(kind, definitionIn(kind, loaded));
  };
}

function isPath(kind: string): boolean {
  return /^\.{0,2}\//.test(kind);
}

function existingFile(kind: string, directory: string): string {
  const file = resolve(directory, kind);
  const found = statSync(file, { throwIfNoEntry: false });
  if (found?.isFile() === true) return file;
  const what = found === undefined ? `there is no file ${file}` : `${file} is no file`;
  throw new AdapterLoadError(`kind ${kind}: ${what}`, {
    fix: `a path starts at ${resolve(directory)} and includes the file's ending (./my-ca.ts)`,
  });
}

/** The package as the configuration's directory sees it, otherwise as the project does. */
function packageEntry(kind: string, directory: string, known: readonly string[]): string {
  const bases = [join(resolve(directory), 'config.yaml'), fileURLToPath(import.meta.url)];
  for (const base of bases) {
    const entry = resolvePackage(kind, base);
    if (entry !== undefined) return entry;
  }
  const close = nearestName(kind, known);
  const hint = close === undefined ? '' : ` Did you mean ${close}?`;
  throw new AdapterLoadError(
    `kind ${kind} is not known.${hint} Known kinds: ${known.toSorted().join(', ')}. Otherwise give a path (./my-ca.ts), or the name of a package that is installed beside the configuration or in the project.`,
    { fix: otherKind },
  );
}

function resolvePackage(name: string, base: string): string | undefined {
  if (isBuiltin(name)) return undefined;
  try {
    return createRequire(base).resolve(name);
  } catch (error) {
    // A package made for import alone hides itself from require: it says so with its own code.
    if (codeOf(error) === 'ERR_PACKAGE_PATH_NOT_EXPORTED') return importEntry(name, base);
    if (codeOf(error) === 'MODULE_NOT_FOUND') return undefined;
    throw new AdapterLoadError(`kind ${name}: ${messageOf(error)}`, { cause: error });
  }
}

/** The main entry under the conditions of `import` (Node's documentation, "Conditional exports"). */
function importEntry(name: string, base: string): string {
  const manifestFile = findPackageJSON(name, base);
  if (manifestFile !== undefined) {
    const manifest: unknown = JSON.parse(readFileSync(manifestFile, 'utf8'));
    const exported = isRecord(manifest) ? manifest['exports'] : undefined;
    const main = isRecord(exported) && '.' in exported ? exported['.'] : exported;
    const target = conditionalTarget(main);
    if (target !== undefined) return join(dirname(manifestFile), target);
  }
  throw new AdapterLoadError(
    `kind ${name}: the package is installed but exports no main module that could be imported. Look at "exports" in its package.json.`,
  );
}

function conditionalTarget(entry: unknown): string | undefined {
  if (typeof entry === 'string') return entry;
  if (!isRecord(entry)) return undefined;
  for (const [condition, value] of Object.entries(entry)) {
    if (!['import', 'node', 'default'].includes(condition)) continue;
    const target = conditionalTarget(value);
    if (target !== undefined) return target;
  }
  return undefined;
}

async function importFile(kind: string, file: string, longestMs?: number): Promise<unknown> {
  try {
    return await importPlugIn(file, longestMs);
  } catch (error) {
    const problem = loadProblem(file, error);
    throw new AdapterLoadError(`kind ${kind}: ${file} cannot be loaded: ${problem}.`, {
      cause: error,
    });
  }
}

/** Type checks do not reach a plug-in from outside, so its shape is looked at. */
function definitionIn(kind: string, loaded: unknown): AdapterDefinition {
  const given = isRecord(loaded) ? loaded : {};
  const { default: exported, ...others } = given;
  // What a compiler makes of `export default` for CommonJS.
  const isCompiled = isRecord(exported) && exported['__esModule'] === true;
  const definition = isCompiled ? exported['default'] : exported;
  const wish = 'export default defineAdapter({ kind, options, connect })';
  if (definition === undefined) {
    const names = Object.keys(others).slice(0, 8).join(', ');
    const found = names === '' ? '' : ` It exports: ${names}.`;
    throw new AdapterLoadError(`kind ${kind}: the module has no default export.${found}`, {
      fix: `write \`${wish}\``,
    });
  }
  const missing = isRecord(definition) ? missingParts(definition) : [`it is ${shown(definition)}`];
  if (missing.length > 0) {
    throw new AdapterLoadError(
      `kind ${kind}: the default export is not an adapter: ${missing.join('; ')}.`,
      { fix: `write \`${wish}\`` },
    );
  }
  return definition as unknown as AdapterDefinition;
}

function missingParts(definition: Record<string, unknown>): string[] {
  const { kind, options, connect, concurrency, requestsPerSecond, rootFiles } = definition;
  const missing: string[] = [];
  const isPositive = (value: unknown) => typeof value === 'number' && value > 0;
  if (typeof kind !== 'string' || kind === '') missing.push('it lacks kind (a name, not empty)');
  if (!isRecord(options) || typeof options['safeParse'] !== 'function') {
    missing.push('it lacks options (a zod schema, like z.strictObject({}))');
  }
  if (typeof connect !== 'function') missing.push('it lacks connect (a function)');
  if (
    concurrency !== undefined &&
    !(Number.isSafeInteger(concurrency) && isPositive(concurrency))
  ) {
    missing.push(`its concurrency is ${shown(concurrency)} (a whole number from 1)`);
  }
  if (requestsPerSecond !== undefined && !isPositive(requestsPerSecond)) {
    missing.push(`its requestsPerSecond is ${shown(requestsPerSecond)} (a number above 0)`);
  }
  if (rootFiles !== undefined && typeof rootFiles !== 'function') {
    missing.push(`its rootFiles is ${shown(rootFiles)} (a function)`);
  }
  return missing;
}

function codeOf(error: unknown): unknown {
  return isRecord(error) ? error['code'] : undefined;
}
