import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';

/*
 * Read and not imported: the build would put a copy of package.json into dist/, and what lies there would be a package
 * of its own.
 */
const manifest = findPackageJSON('..', import.meta.url) ?? '';

const { version }: { readonly version: string } = JSON.parse(readFileSync(manifest, 'utf8'));

export const ownVersion = version;
