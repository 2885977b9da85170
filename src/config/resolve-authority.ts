import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { AdapterLoadError } from '../plug-in/adapter-loader.ts';
import type { AdapterDefinition } from '../plug-in/certificate-authority.ts';
import { authority } from './authority-schema.ts';
import type { AuthorityConfig, ResolveContext } from './config.ts';
import type { Path } from './document.ts';
import { resolveOptions } from './resolve-options.ts';
import { readRootFile } from './root-file.ts';
import { asRecord, validFields } from './valid-fields.ts';

/** Calls at once to an authority that is somewhere else. */
export const defaultConcurrency = 8;

/** Loads each authority's adapter and lets it check its options; wrong ones are reported and left out. */
export async function resolveAuthorities(
  raw: unknown,
  context: ResolveContext,
): Promise<ReadonlyMap<string, AuthorityConfig>> {
  const authorities = new Map<string, AuthorityConfig>();
  const entries = Object.entries(asRecord(raw));
  if (raw !== undefined && entries.length === 0) {
    report(
      context,
      ['authorities'],
      'has no authority',
      'add one under the reference of the CA connection in the Admin console',
    );
  }
  for (const [reference, entry] of entries) {
    const path = ['authorities', reference];
    const fields = validFields(authority, entry);
    const definition =
      fields.kind === undefined ? undefined : await load(fields.kind, path, context);
    const options =
      definition === undefined
        ? undefined
        : await resolveOptions(definition, fields.options, [...path, 'options'], context);
    const own = ownRootFiles(definition, options, context);
    const rootFiles = (fields.roots ?? []).map((name) => resolve(context.directory, name));
    // What the kind makes at its first start need not be there before.
    const isLate = (file: string) => own.includes(file) && !existsSync(file);
    const roots = await readRoots(rootFiles, isLate, path, context);
    const { kind, concurrency, timeoutSeconds, mayDrop, mayAdd } = fields;
    const requestsPerSecond = fields.requestsPerSecond ?? definition?.requestsPerSecond;
    if (kind === undefined || definition === undefined || options === undefined) continue;
    if (timeoutSeconds === undefined || mayDrop === undefined) continue;
    if (mayAdd === undefined) continue;
    authorities.set(reference, {
      kind,
      definition,
      options: options.value,
      concurrency: concurrency ?? definition.concurrency ?? defaultConcurrency,
      timeoutSeconds,
      roots,
      lateRootFiles: rootFiles.filter(isLate),
      mayDrop,
      mayAdd,
      ...(requestsPerSecond === undefined ? {} : { requestsPerSecond }),
    });
  }
  return authorities;
}

async function load(
  kind: string,
  path: Path,
  context: ResolveContext,
): Promise<AdapterDefinition | undefined> {
  try {
    return await context.loadAdapter(kind, context.directory);
  } catch (error) {
    const fix = error instanceof AdapterLoadError ? error.fix : 'correct the kind';
    report(context, [...path, 'kind'], messageOf(error), fix);
    return undefined;
  }
}

/** Absolute paths of the root certificates that the kind makes itself. */
function ownRootFiles(
  definition: AdapterDefinition | undefined,
  options: { readonly value: unknown } | undefined,
  { directory }: ResolveContext,
): readonly string[] {
  if (options === undefined) return [];
  const names = definition?.rootFiles?.(options.value) ?? [];
  return names.map((name) => resolve(directory, name));
}

async function readRoots(
  files: readonly string[],
  isLate: (file: string) => boolean,
  authorityPath: Path,
  context: ResolveContext,
): Promise<Uint8Array[]> {
  const roots: Uint8Array[] = [];
  for (const [index, file] of files.entries()) {
    if (isLate(file)) continue;
    try {
      roots.push(...(await readRootFile(file)));
    } catch (error) {
      report(
        context,
        [...authorityPath, 'roots', index],
        `no root certificate could be read from ${file} (${messageOf(error).replace(/\.$/, '')})`,
        "name a PEM file with the CA's root certificate",
      );
    }
  }
  return roots;
}

function report(context: ResolveContext, path: Path, message: string, fix: string): void {
  context.report(context.document.problem(path, message, fix));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
