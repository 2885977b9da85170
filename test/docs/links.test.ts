import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const documents = [
  ...globSync('*.md', { cwd: root }),
  ...globSync('{docs,examples,simulator}/**/*.md', { cwd: root }),
].sort();
const read = (file: string) => readFileSync(join(root, file), 'utf8');

/** The headings of a document as GitHub links to them. */
function anchorsOf(document: string): ReadonlySet<string> {
  const prose = read(document).replaceAll(/^( *)```.*?^\1```$/gms, '');
  const headings = [...prose.matchAll(/^#+ +(.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
  return new Set(headings);
}

/** Where a document's links lead, from the project's root, without those into the world. */
function linksOf(document: string): { readonly file: string; readonly anchor: string }[] {
  return [...read(document).matchAll(/\]\(([^)\s]+)[^)]*\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [path = '', anchor = ''] = target.split('#');
      const file = path === '' ? document : relative(root, resolve(root, dirname(document), path));
      return { file, anchor };
    });
}

/** Every file of the project, each with a slash before it: what a name without its directory may mean. */
const files = globSync('**/*.{ts,mjs,go}', {
  cwd: root,
  exclude: ['**/node_modules/**', 'dist/**'],
}).map((file) => `/${file}`);
/** The rules of the house name what there is not. */
const unwanted = ['utils.ts', 'types.ts', 'd.ts'];
const isThere = (name: string) =>
  unwanted.includes(name) || files.some((file) => file.endsWith(`/${name}`));

describe.each(documents)('%s', (document) => {
  it('links only to what is there', () => {
    const missing = linksOf(document).filter(({ file }) => !existsSync(join(root, file)));
    expect(missing).toEqual([]);
  });

  it('links only to headings that are there', () => {
    const missing = linksOf(document).filter(
      ({ file, anchor }) => anchor !== '' && !anchorsOf(file).has(anchor),
    );
    expect(missing).toEqual([]);
  });

  it('names only files that are there', () => {
    const names = read(document).matchAll(
      /`((?:src|conformance|adapters|simulator|proofs|test|tools|docs|examples|deploy)\/[\w./-]+)`/g,
    );
    const missing = [...names]
      .map(([, name = '']) => name)
      .filter((name) => !existsSync(join(root, name)));
    expect(missing).toEqual([]);
  });

  it('names only sources that are somewhere, also without their directory', () => {
    const names = [...read(document).matchAll(/`([\w-][\w./-]*\.(?:ts|mjs|go))`/g)];
    expect(names.map(([, name = '']) => name).filter((name) => !isThere(name))).toEqual([]);
  });
});

describe('comments', () => {
  it('name only sources that are there', () => {
    const missing = files.flatMap((file) => {
      const comments = read(file).matchAll(/^ *(?:\/\/|\/?\*).*$/gm);
      const names = [...comments].flatMap(([line]) => line.match(/[\w-][\w./-]*\.ts\b/g) ?? []);
      return names.filter((name) => !isThere(name)).map((name) => `${file}: ${name}`);
    });
    expect(missing).toEqual([]);
  });
});

describe('docs/README.md', () => {
  it('leads to every document', () => {
    const linked = new Set(linksOf('docs/README.md').map(({ file }) => file));
    const forgotten = documents.filter(
      (document) => /^docs\/(?!README)/.test(document) && !linked.has(document),
    );
    expect(forgotten).toEqual([]);
  });
});

describe('docs/tour.md', () => {
  it('leads through every room and every house', () => {
    const rooms = globSync('*/**/*.ts', { cwd: root, exclude: ['node_modules/**'] })
      .map((file) => /^src\/[^/]+|^[^/]+/.exec(file)?.[0] ?? '')
      .filter((room) => room !== 'src' && room !== 'dist' && existsSync(join(root, room)));
    const tour = read('docs/tour.md');
    const forgotten = [...new Set(rooms)].filter((room) => !tour.includes(`\`${room}`));
    expect(forgotten).toEqual([]);
  });
});

describe('docs/decisions', () => {
  it.each(documents.filter((document) => document.startsWith('docs/decisions/')))(
    'say when they were taken and whether they stand: %s',
    (document) => {
      expect(read(document)).toMatch(
        /^# \d+\. .+\n\n_\d{4}-\d\d-\d\d(, revised \d{4}-\d\d-\d\d)? · (in force|replaced by .+)_\n/,
      );
    },
  );
});
