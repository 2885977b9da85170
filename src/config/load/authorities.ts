import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { AdapterLoadError } from '../../plug-in/adapter-loader.ts';
import type { AdapterDefinition } from '../../plug-in/certificate-authority.ts';
import { messageOf } from '../../words/message-of.ts';
import type { AuthorityConfig, LoadedAuthority } from '../config.ts';
import type { Path } from '../explain/document.ts';
import type { ConfigFile } from '../schema/config-schema.ts';
import type { LoadContext } from './context.ts';
import { checkedOptions } from './options.ts';
import { readRootFile } from './root-file.ts';
import type { SoundAuthority } from './sound-parts.ts';

/** Calls at once to an authority that is somewhere else. */
export const defaultConcurrency = 8;

export function authorityConfig(
  { kind, timeoutSeconds, mayDrop, mayAdd, ...own }: ConfigFile['authorities'][string],
  loaded: LoadedAuthority,
): AuthorityConfig {
  const { definition } = loaded;
  return {
    kind,
    ...loaded,
    concurrency: own.concurrency ?? definition.concurrency ?? defaultConcurrency,
    requestsPerSecond: own.requestsPerSecond ?? definition.requestsPerSecond,
    timeoutSeconds,
    mayDrop,
    mayAdd,
  };
}

/** Loads an authority's adapter, lets it check its options, and reads the roots. Undefined without an adapter. */
export async function loadAuthority(
  reference: string,
  { kind, options = {}, roots: rootNames = [] }: SoundAuthority,
  context: LoadContext,
): Promise<LoadedAuthority | undefined> {
  const path = ['authorities', reference];
  const definition = kind === undefined ? undefined : await loadKind(kind, path, context);
  const checked =
    definition && (await checkedOptions(definition, options, [...path, 'options'], context));
  const absolute = (name: string) => resolve(context.directory, name);
  const own = (checked && definition?.rootFiles?.(checked.value)) ?? [];
  const made = own.map(absolute);
  const rootFiles = rootNames.map(absolute);
  // What the kind makes at its first start need not be there before.
  const isLate = (file: string) => made.includes(file) && !existsSync(file);
  const roots: Uint8Array[] = [];
  for (const [index, file] of rootFiles.entries()) {
    if (!isLate(file)) roots.push(...(await readRoots(file, [...path, 'roots', index], context)));
  }
  const lateRootFiles = rootFiles.filter(isLate);
  return definition && { definition, options: checked?.value, roots, lateRootFiles };
}

async function loadKind(
  kind: string,
  path: Path,
  { loadAdapter, directory, report }: LoadContext,
): Promise<AdapterDefinition | undefined> {
  try {
    return await loadAdapter(kind, directory);
  } catch (error) {
    const fix = error instanceof AdapterLoadError ? error.fix : 'correct the kind';
    report([...path, 'kind'], messageOf(error), fix);
    return undefined;
  }
}

async function readRoots(
  file: string,
  path: Path,
  { report }: LoadContext,
): Promise<readonly Uint8Array[]> {
  try {
    return await readRootFile(file);
  } catch (error) {
    report(
      path,
      `no root certificate could be read from ${file} (${messageOf(error).replace(/\.$/, '')})`,
      "name a PEM file with the CA's root certificate",
    );
    return [];
  }
}
