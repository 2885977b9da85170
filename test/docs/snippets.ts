import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** What stands between fences in the documentation. */
export interface Snippet {
  /** Like `docs/authorities/scep.md:18`. */
  readonly where: string;
  readonly language: string;
  readonly text: string;
}

export const root = resolve(import.meta.dirname, '../..');

const documents = [
  ...globSync('*.md', { cwd: root }),
  ...globSync('{docs,examples}/**/*.md', { cwd: root }),
].toSorted();

export const texts: readonly (readonly [document: string, text: string])[] = documents.map(
  (document) => [document, readFileSync(join(root, document), 'utf8')],
);

/** Without the indentation of a list that they stand in. */
export const snippets: readonly Snippet[] = texts.flatMap(([document, text]) =>
  [...text.matchAll(/^( *)```(\w*)\n(.*?)^\1```$/gms)].map((match) => {
    const [, indent = '', language = '', body = ''] = match;
    const line = text.slice(0, match.index).split('\n').length;
    const own = body.replaceAll(new RegExp(`^${indent}`, 'gm'), '');
    return { where: `${document}:${line}`, language, text: own };
  }),
);
