import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { billSchema, licenceFindings } from '../../tools/release-check/licences.ts';
import { tarballFindings } from '../../tools/release-check/tarball.ts';
import { type Named, versionFindings } from '../../tools/release-check/version.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

describe('the version of a release', () => {
  const changelog = '# Changelog\n\n## 1.4.0 (2026-11-30)\n\n### New\n\n- It flies.\n\n## 1.3.0\n';
  const right: Named = {
    version: '1.4.0',
    locked: '1.4.0',
    changelog,
    tags: ['v1.3.0', 'v1.3.1', ''],
    isUnreleased: false,
  };
  const said = (change: Partial<Named>) =>
    versionFindings({ ...right, ...change }).map(({ what }) => what);

  it('is right when it is new, and the first section of the changelog says what is in it', () => {
    expect(said({})).toEqual([]);
    const candidate = '1.4.0-rc.1';
    const renamed = changelog.replace('1.4.0', candidate);
    expect(said({ version: candidate, locked: candidate, changelog: renamed })).toEqual([]);
  });

  it.each(['1.4', 'v1.4.0', '1.4.0+build', '01.4.0', '1.4.0-', ''])('is not %j', (version) => {
    const [first] = said({ version, locked: version });
    expect(first).toBe(`package.json: ${JSON.stringify(version)} is no semantic version`);
  });

  it('is the lock file’s too', () => {
    const [finding] = versionFindings({ ...right, locked: '1.3.1' });
    expect(finding?.what).toBe('package-lock.json says 1.3.1, package.json 1.4.0');
    expect(finding?.mend).toContain('npm install --package-lock-only');
  });

  it('was not released before', () => {
    expect(said({ tags: ['v1.4.0'] })).toEqual(['the tag v1.4.0 is there already']);
  });

  it.each([
    ['no section', '# Changelog\n', 'begins with no section, expected 1.4.0'],
    [
      'another',
      '## Unreleased\n\n- It flies.\n\n## 1.4.0\n',
      'begins with Unreleased, expected 1.4.0',
    ],
    ['an empty section', '## 1.4.0\n\n## 1.3.0\n\n- It walks.\n', 'the section 1.4.0 is empty'],
    ['headings alone', '## 1.4.0\n\n### New\n', 'the section 1.4.0 is empty'],
  ])('has more in the changelog than %s', (_what, text, problem) => {
    expect(said({ changelog: text })).toEqual([expect.stringContaining(problem)]);
  });

  it('may be that of the last release while the next one is not named', () => {
    const unreleased = { isUnreleased: true, tags: ['v1.4.0'] };
    expect(said(unreleased)).toEqual([]);
    expect(said({ ...unreleased, changelog: `## Unreleased\n\n${changelog}` })).toEqual([]);
    expect(said({ ...unreleased, changelog: '## 1.3.0\n' })).toHaveLength(1);
  });
});

describe('the licences of a release', () => {
  const component = (ref: string, licenses?: readonly object[]) => ({ 'bom-ref': ref, licenses });
  const licence = (id: string) => ({ license: { id } });
  const said = (...components: readonly object[]) =>
    licenceFindings(
      billSchema.parse({
        bomFormat: 'CycloneDX',
        metadata: { component: { 'bom-ref': 'certprov@1.4.0', name: 'certprov' } },
        components,
        dependencies: [
          { ref: 'certprov@1.4.0', dependsOn: ['a@1.0.0'] },
          { ref: 'a@1.0.0', dependsOn: ['b@2.0.0', 'a@1.0.0'] },
          { ref: 'b@2.0.0' },
        ],
      }),
    );

  it('are right when each asks for no more than a notice', () => {
    const expressions = ['(MIT OR GPL-3.0-only)', 'MIT AND Apache-2.0'];
    const packages = expressions.map((expression) => component(expression, [{ expression }]));
    expect(said(component('a@1.0.0', [licence('MIT')]), ...packages)).toEqual([]);
  });

  it.each([
    ['copyleft', [licence('GPL-3.0-only')], 'GPL-3.0-only'],
    ['none', undefined, 'no licence'],
    ['an empty list', [], 'no licence'],
    ['a text of its own', [{ license: { name: 'SEE LICENSE IN EULA' } }], 'SEE LICENSE IN EULA'],
    ['one good and one foreign', [licence('MIT'), licence('AGPL-3.0-only')], 'MIT, AGPL-3.0-only'],
    ['a foreign one besides', [{ expression: 'MIT AND GPL-2.0-only' }], 'MIT AND GPL-2.0-only'],
    [
      'one that only people can read',
      [{ expression: 'GPL-2.0-only AND (MIT OR ISC)' }],
      'GPL-2.0-only AND (MIT OR ISC)',
    ],
  ])('name a package that has %s, and who brings it', (_what, licenses, shown) => {
    expect(said(component('b@2.0.0', licenses)).map(({ what }) => what)).toEqual([
      `b@2.0.0 has ${shown} (certprov@1.4.0 > a@1.0.0 > b@2.0.0)`,
    ]);
  });
});

describe('the tarball of a release', () => {
  const right = {
    'package.json': JSON.stringify({
      bin: 'dist/src/main.js',
      exports: { '.': { types: './dist/a.d.ts', default: './dist/a.js' } },
    }),
    'README.md': '',
    LICENSE: '',
    'CHANGELOG.md': '',
    'SECURITY.md': '',
    'config.yaml': '',
    'dist/src/main.js': '',
    'dist/a.js': '',
    'dist/a.d.ts': '',
    'docs/tour.md': '',
    'deploy/unit': '',
    'examples/my-ca/my-ca.test.ts': '',
  };

  async function said(change: Readonly<Record<string, string | undefined>>, packedBytes = 1_000) {
    await using home = await temporaryDirectory();
    for (const [name, text] of Object.entries({ ...right, ...change })) {
      if (text === undefined) continue;
      await mkdir(dirname(join(home.path, name)), { recursive: true });
      await writeFile(join(home.path, name), text);
    }
    return tarballFindings(home.path, packedBytes).map(({ what }) => what);
  }

  it('is right when it has what package.json names, and what belongs to it', async () => {
    expect(await said({})).toEqual([]);
  });

  it.each([
    ['the command', { 'dist/src/main.js': undefined }, ['dist/src/main.js is missing']],
    ['the types of an export', { 'dist/a.d.ts': undefined }, ['dist/a.d.ts is missing']],
    ['the documentation', { 'docs/tour.md': undefined }, ['docs/ is missing']],
    ['the licence', { LICENSE: undefined }, ['LICENSE is missing']],
  ])('does not lack %s', async (_what, change, problems) => {
    expect(await said(change)).toEqual(problems);
  });

  it.each([
    ['a test', { 'test/a.js': '' }, 'test/a.js is not expected'],
    ['a built test', { 'dist/a.test.js': '' }, 'dist/a.test.js is a test'],
    ['a source', { 'dist/a.ts': '' }, 'dist/a.ts is a source'],
    ['a source map', { 'dist/a.js.map': '' }, 'dist/a.js.map is a source map'],
    ['the name of one', { 'dist/a.js': '\n//# sourceMappingURL=a.js.map\n' }, 'names a source map'],
    ['a key', { 'docs/root.key': '' }, 'docs/root.key is like a key'],
  ])('does not have %s', async (_what, change, problem) => {
    expect(await said(change)).toEqual([expect.stringContaining(problem)]);
  });

  it('is not suddenly large', async () => {
    expect(await said({}, 1_000_001)).toEqual(['it has 1001 kB, more than 1000']);
  });
});
