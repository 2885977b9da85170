import { execFile } from 'node:child_process';
import { mkdir, mkdtempDisposable, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { z } from 'zod';
import type { Finding } from './finding.ts';
import { billSchema, licenceFindings } from './licences.ts';
import { publishedFindings } from './published.ts';
import { tarballFindings } from './tarball.ts';
import { versionFindings } from './version.ts';

/*
 * `npm run release:check`: whether this could be published as it stands. Leaves the tarball and its bill of materials
 * in data/release/. docs/develop/releasing.md is the recipe around it.
 */

const root = resolve(import.meta.dirname, '../..');
const out = join(root, 'data/release');

const { values } = parseArgs({ options: { unreleased: { type: 'boolean', default: false } } });

const run = async (command: string, ...args: string[]) => {
  const limits = { maxBuffer: 64 * 1024 * 1024, timeout: 300_000 };
  return (await promisify(execFile)(command, args, { cwd: root, ...limits })).stdout;
};
const read = (file: string) => readFile(join(root, file), 'utf8');
const manifestSchema = z.object({ name: z.string(), version: z.string() });
const { name, version } = manifestSchema.parse(JSON.parse(await read('package.json')));
const tarballFile = `${name}-${version}.tgz`;
const billFile = `${name}-${version}.cdx.json`;

async function checkVersion(): Promise<Finding[]> {
  const lock = manifestSchema.parse(JSON.parse(await read('package-lock.json')));
  return versionFindings({
    version,
    locked: lock.version,
    changelog: await read('CHANGELOG.md'),
    tags: (await run('git', 'tag', '--list')).split('\n'),
    isUnreleased: values.unreleased,
  });
}

async function checkTarball(): Promise<Finding[]> {
  await run('npm', 'pack', '--silent', '--pack-destination', out);
  const file = join(out, tarballFile);
  const packed = await readFile(file);
  await using unpacked = await mkdtempDisposable(join(tmpdir(), 'certprov-release-'));
  await run('tar', '-xzf', file, '-C', unpacked.path, '--strip-components', '1');
  return [...tarballFindings(unpacked.path, packed.length), ...(await publishedFindings(packed))];
}

async function checkLicences(): Promise<Finding[]> {
  const sbom = ['sbom', '--sbom-format', 'cyclonedx', '--omit', 'dev', '--package-lock-only'];
  const printed = JSON.parse(await run('npm', ...sbom));
  const bill = billSchema.parse(printed);
  // npm calls it by the directory.
  printed.metadata.component.name = name;
  await writeFile(join(out, billFile), `${JSON.stringify(printed, undefined, 2)}\n`);
  return licenceFindings(bill);
}

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
let failed = 0;
for (const [title, check] of [
  ['version and changelog', checkVersion],
  ['tarball', checkTarball],
  ['licences of the production packages', checkLicences],
] as const) {
  const findings = await check();
  failed += findings.length;
  console.log(`${findings.length === 0 ? 'ok  ' : 'FAIL'} ${title}`);
  for (const { what, mend } of findings) console.log(`       ${what}\n         mend: ${mend}`);
}
console.log(`\n${out}: ${tarballFile}, ${billFile}`);
const next = values.unreleased
  ? 'only a version and its section are missing'
  : 'it can be released';
console.log(failed === 0 ? next : `${failed} in the way of a release`);
process.exitCode = failed === 0 ? 0 : 1;
