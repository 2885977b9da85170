import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const documents = [
  ...globSync('*.md', { cwd: root }),
  ...globSync('{docs,examples,simulator}/**/*.md', { cwd: root }),
].sort();

describe.each(documents)('%s', (document) => {
  const text = readFileSync(join(root, document), 'utf8');

  it('links only to what is there', () => {
    const targets = [...text.matchAll(/\]\(([^)\s#]+)[^)]*\)/g)].map(([, target]) => target ?? '');
    const local = targets.filter((target) => !/^[a-z]+:/.test(target));
    const missing = local.filter((target) => !existsSync(resolve(root, dirname(document), target)));
    expect(missing).toEqual([]);
  });

  it('names only files that are there', () => {
    const names = text.matchAll(
      /`((?:src|conformance|adapters|simulator|proofs|test|tools|docs)\/[\w./-]+)`/g,
    );
    const missing = [...names]
      .map(([, name]) => name ?? '')
      .filter((name) => !existsSync(join(root, name)));
    expect(missing).toEqual([]);
  });
});

describe('docs/tour.md', () => {
  it('leads through every room and names files by their real names', () => {
    const tour = readFileSync(join(root, 'docs/tour.md'), 'utf8');
    const named = [...tour.matchAll(/\*\*`([\w/.-]+\.ts)`\*\*/g)].map(([, name]) => name ?? '');
    const files = globSync('{src,conformance,adapters,simulator,proofs}/**/*.ts', { cwd: root });
    const unknown = named.filter((name) => !files.some((file) => file.endsWith(name)));
    expect(unknown).toEqual([]);
    for (const room of ['claim', 'possession', 'issue', 'deliver']) {
      expect(tour).toContain(`src/${room}/`);
    }
  });
});
