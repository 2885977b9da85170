import { X509Certificate } from 'node:crypto';
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { AuthorityConfig, ResolveContext } from '../config.ts';
import type { AdapterDefinition } from '../issue/certificate-authority.ts';
import { readCertificates } from '../x509/pem.ts';
import { authority } from './authority-schema.ts';
import type { Path } from './document.ts';
import { resolveOptions } from './resolve-options.ts';
import { asRecord, validFields } from './valid-fields.ts';

/** Calls at once to an authority that is somewhere else. */
export const defaultConcurrency = 8;

/** A file with root certificates is a few of them. In bytes. */
const largestRootsBytes = 1024 * 1024;

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
    const roots = await readRoots(fields.roots ?? [], path, context);
    const { kind, concurrency, timeoutSeconds, mayDrop } = fields;
    const requestsPerSecond = fields.requestsPerSecond ?? definition?.requestsPerSecond;
    if (kind === undefined || definition === undefined || options === undefined) continue;
    if (timeoutSeconds === undefined || mayDrop === undefined) continue;
    authorities.set(reference, {
      kind,
      definition,
      options: options.value,
      concurrency: concurrency ?? definition.concurrency ?? defaultConcurrency,
      timeoutSeconds,
      roots,
      mayDrop,
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
    report(
      context,
      [...path, 'kind'],
      messageOf(error),
      'write a kind that docs/configuration.md lists, a path like ./my-ca.ts, or an installed package',
    );
    return undefined;
  }
}

async function readRoots(
  files: readonly string[],
  authorityPath: Path,
  context: ResolveContext,
): Promise<Uint8Array[]> {
  const roots: Uint8Array[] = [];
  for (const [index, name] of files.entries()) {
    const file = resolve(context.directory, name);
    try {
      const certificates = readCertificates(await readLimited(file));
      for (const der of certificates) new X509Certificate(der);
      roots.push(...certificates);
    } catch (error) {
      report(
        context,
        [...authorityPath, 'roots', index],
        `no root certificate could be read from ${file} (${messageOf(error).replace(/\.$/, '')})`,
        "name a PEM file with the CA's root certificate; for local-ca it is there after the first start",
      );
    }
  }
  return roots;
}

async function readLimited(file: string): Promise<Uint8Array> {
  await using handle = await open(file, 'r');
  const buffer = Buffer.alloc(largestRootsBytes + 1);
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
  if (bytesRead > largestRootsBytes) throw new Error('it is larger than 1 MiB');
  return new Uint8Array(buffer.subarray(0, bytesRead));
}

function report(context: ResolveContext, path: Path, message: string, fix: string): void {
  context.report(context.document.problem(path, message, fix));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
