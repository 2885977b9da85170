import { execFile } from 'node:child_process';
import { globSync, readdirSync } from 'node:fs';
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { findPackageJSON } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { rootCertificates } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { describePublicTypes } from '../tools/describe-public-types.ts';
import { publishedFindings } from '../tools/release-check/published.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

/*
 * What `npm pack` makes, unpacked in a project of somebody else's: with the dependencies, and without the
 * project's sources.
 */

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '..');
const example = join(root, 'examples/my-ca');
/** Where the project's own dependencies are; the worktree of a branch may share them. */
const installed = resolve(dirname(findPackageJSON('zod', import.meta.url) ?? ''), '..');
/** With the types of vitest it takes three times as long: once is enough. */
const contractTypes = join(root, 'test/plug-in/contract-types.test.ts');
const tsc = join(installed, '.bin/tsc');

let home: Awaited<ReturnType<typeof temporaryDirectory>>;
let tarball: string;
let packed: string[];

beforeAll(async () => {
  home = await temporaryDirectory();
  const { stdout } = await run('npm', ['pack', '--silent', '--pack-destination', home.path], {
    cwd: root,
  });
  tarball = join(home.path, stdout.trim().split('\n').at(-1) ?? '');
  const modules = join(home.path, 'node_modules');
  await mkdir(join(modules, 'certprov'), { recursive: true });
  await run('tar', ['-xzf', tarball, '-C', join(modules, 'certprov'), '--strip-components', '1']);
  const files = globSync('**/*', { cwd: join(modules, 'certprov'), withFileTypes: true });
  packed = files
    .filter((file) => file.isFile())
    .map((file) => join(file.parentPath, file.name).slice(join(modules, 'certprov').length + 1));
  for (const name of readdirSync(installed)) {
    if (!name.startsWith('.')) await symlink(join(installed, name), join(modules, name));
  }
  await writeFile(join(home.path, 'package.json'), '{ "type": "module" }');
}, 120_000);

afterAll(() => home[Symbol.asyncDispose]());

const node = (...args: string[]) => run(process.execPath, args, { cwd: home.path });

describe('the package that npm packs', { timeout: 60_000 }, () => {
  it('has the built sources with their types, the documentation, and nothing else', () => {
    const sources = globSync('{src,conformance,adapters}/**/*.ts', { cwd: root });
    const built = sources.flatMap((file) => [
      join('dist', file.replace(/ts$/, 'js')),
      join('dist', file.replace(/ts$/, 'd.ts')),
    ]);
    const beside = globSync('{docs,deploy,examples}/**/*', { cwd: root, withFileTypes: true })
      .filter((file) => file.isFile())
      .map((file) => join(file.parentPath, file.name).slice(root.length + 1));
    const single = [
      ...['CHANGELOG.md', 'CONTRIBUTING.md', 'LICENSE', 'README.md', 'SECURITY.md'],
      ...['config.yaml', 'package.json'],
    ];
    expect(packed.toSorted()).toEqual([...built, ...beside, ...single].toSorted());
  });

  it('exports what the author of a plug-in needs, without a test runner', async () => {
    const script = `
      const names = async (name) => Object.keys(await import(name)).sort().join(' ');
      console.log(await names('certprov'));
      console.log(await names('certprov/conformance'));
      await import('certprov/dist/src/main.js').catch((error) => console.log(error.code));`;
    await writeFile(join(home.path, 'exports.js'), script);
    const { stdout } = await node('exports.js');
    expect(stdout.trim().split('\n')).toEqual([
      'ProvisioningError decodePem defineAdapter encodePem issuedAnswer readCertificate readCertificates secretReference z',
      'adapterHarness describeAdapter',
      'ERR_PACKAGE_PATH_NOT_EXPORTED',
    ]);
    const imports = packed.filter((file) => file.endsWith('.js'));
    expect(imports.length).toBeGreaterThan(150);
    const { stdout: found } = await run('grep', ['-rlE', "from 'vitest'", 'dist'], {
      cwd: join(home.path, 'node_modules/certprov'),
    }).catch((error) => error);
    expect(found).toBe('');
  });

  it.each(['nodenext', 'bundler'])(
    'has types that need no skipLibCheck, found by moduleResolution %s',
    async (moduleResolution) => {
      const own = join(home.path, moduleResolution);
      await mkdir(own);
      await cp(join(example, 'my-ca.ts'), join(own, 'my-ca.ts'));
      const types =
        moduleResolution === 'nodenext'
          ? await readFile(contractTypes, 'utf8')
          : `import 'certprov/conformance';`;
      await writeFile(join(own, 'types.ts'), types);
      const base = JSON.parse(await readFile(join(example, 'tsconfig.json'), 'utf8'));
      const module = moduleResolution === 'bundler' ? 'esnext' : moduleResolution;
      const changed = { module, moduleResolution, skipLibCheck: false };
      const compilerOptions = { ...base.compilerOptions, ...changed };
      await writeFile(join(own, 'tsconfig.json'), JSON.stringify({ compilerOptions }));
      const { stdout } = await run(tsc, ['--noEmit'], { cwd: own }).catch((error) => error);
      expect(stdout).toBe('');
    },
  );

  it('promises the types that were agreed on', async () => {
    const { exports } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
    const declarations = (entry: string) =>
      join(home.path, 'node_modules/certprov', exports[entry].types);
    await expect(
      describePublicTypes({
        certprov: declarations('.'),
        'certprov/conformance': declarations('./conformance'),
      }),
    ).toMatchFileSnapshot('public-types.txt');
  });

  it('is found, with its types, by whoever reads package.json (publint, attw)', async () => {
    expect(await publishedFindings(await readFile(tarball))).toEqual([]);
  });

  it('names the command in its usage, and its version', async () => {
    const main = 'node_modules/certprov/dist/src/main.js';
    const { stdout } = await node(main, '--help');
    expect(stdout).toMatch(/^Usage: certprov <command>/);
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
    expect((await node(main, '--version')).stdout).toContain(`certprov ${version}, `);
  });

  describe('with the example as an installed package', () => {
    const kinds = {
      'certprov-my-ca': example,
      'certprov-before-module': join(root, 'test/fixtures/plug-in-before/module'),
      'certprov-before-commonjs': join(root, 'test/fixtures/plug-in-before/commonjs'),
    };
    const main = 'node_modules/certprov/dist/src/main.js';

    let compiled: { readonly stdout: string };

    beforeAll(async () => {
      for (const [name, from] of Object.entries(kinds)) {
        await cp(from, join(home.path, 'node_modules', name), { recursive: true });
      }
      const own = join(home.path, 'node_modules/certprov-my-ca');
      const wrong = `import { defineAdapter, z } from 'certprov';
        export default defineAdapter({ kind: 'x', options: z.strictObject({}), connect: async () => ({ kind: 'x' }) });`;
      await writeFile(join(own, 'wrong.ts'), wrong);
      compiled = await run(tsc, [], { cwd: own }).catch((error) => error);
    });

    it('compiles against the types, and a wrong one beside it does not', () => {
      expect(compiled.stdout).toMatch(/wrong\.ts\(2,\d+\): error TS\d+: .*CertificateAuthority/);
      // What is right beside it has no error.
      expect(compiled.stdout.match(/^\S+: error /gm)).toHaveLength(1);
    });

    it.for(Object.keys(kinds))('%s passes conformance', async (kind) => {
      const harness = 'node_modules/certprov-my-ca/dist/harness.js';
      const args = ['conformance', '--kind', kind, '--harness', harness];
      const { stdout, stderr } = await node(main, ...args);
      expect(stderr).toBe('');
      expect(stdout).toMatch(/^23 passed, 0 failed, 0 not supported$/m);
    });

    it('takes each of them in a configuration', async () => {
      const config = parse(await readFile(join(root, 'config.yaml'), 'utf8'));
      const options = { url: 'http://127.0.0.1:9/', token: { file: 'token' } };
      await writeFile(join(home.path, 'token'), 'one-two-three');
      await writeFile(join(home.path, 'root.pem'), rootCertificates[0] ?? '');
      config.authorities = Object.fromEntries(
        Object.keys(kinds).map((kind) => [kind, { kind, options, roots: ['root.pem'] }]),
      );
      await writeFile(join(home.path, 'config.yaml'), stringify(config));
      const { stdout } = await node(main, 'check-config');
      expect(stdout).toContain('is in order: 3 authorities');
    });
  });
});
