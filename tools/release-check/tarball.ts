import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Finding } from './finding.ts';

/** It is about 600 kB. In bytes. */
const largestPacked = 1_000_000;

const single = ['README.md', 'LICENSE', 'CHANGELOG.md', 'SECURITY.md', 'config.yaml'];
const directories = ['dist', 'docs', 'deploy', 'examples'];

const unwanted: readonly (readonly [pattern: RegExp, what: string])[] = [
  [/^dist\/.*(?<!\.d)\.ts$/, 'a source; Node runs none below node_modules'],
  [/^dist\/.*\.test\./, 'a test'],
  [/\.map$/, 'a source map; the sources are not there'],
  [/(^|\/)(\.env|[^/]+\.(pem|key|p12|pfx))$/, 'like a key'],
  [/(^|\/)(node_modules|data)\//, 'left by a run'],
];

const manifestSchema = z.object({
  bin: z.union([z.string(), z.record(z.string(), z.string())]),
  exports: z.record(z.string(), z.union([z.string(), z.record(z.string(), z.string())])),
});

/** What is wrong with an unpacked tarball, which had `packedBytes`. */
export function tarballFindings(directory: string, packedBytes: number): Finding[] {
  const files = globSync('**/*', { cwd: directory, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
  const findings: Finding[] = [];
  const add = (what: string, mend: string) => void findings.push({ what, mend });
  const filesMend = 'look at "files" in package.json';

  const { bin, exports } = manifestSchema.parse(
    JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')),
  );
  const targets = [bin, ...Object.values(exports)].flatMap((entry) =>
    typeof entry === 'string' ? [entry] : Object.values(entry),
  );
  for (const file of [...single, ...targets.map((target) => target.replace(/^\.\//, ''))]) {
    if (!files.includes(file))
      add(`${file} is missing`, `${filesMend}, and at what npm run build makes`);
  }
  for (const name of directories) {
    if (!files.some((file) => file.startsWith(`${name}/`))) add(`${name}/ is missing`, filesMend);
  }
  for (const file of files) {
    if (!single.includes(file) && !/^(package\.json|CONTRIBUTING\.md)$/.test(file)) {
      if (!directories.includes(file.split('/')[0] ?? ''))
        add(`${file} is not expected`, filesMend);
    }
    for (const [pattern, what] of unwanted) {
      if (pattern.test(file)) add(`${file} is ${what}`, `leave it out: ${filesMend}`);
    }
    if (!/\.(js|ts)$/.test(file)) continue;
    if (/^\/\/# sourceMappingURL=/m.test(readFileSync(join(directory, file), 'utf8'))) {
      add(
        `${file} names a source map`,
        'switch sourceMap and declarationMap off in tsconfig.build.json',
      );
    }
  }
  if (packedBytes > largestPacked) {
    const size = `${Math.ceil(packedBytes / 1_000)} kB, more than ${largestPacked / 1_000}`;
    add(
      `it has ${size}`,
      'leave out what nobody needs, or raise the limit in tools/release-check/tarball.ts',
    );
  }
  return findings;
}
