import fc from 'fast-check';
import { bytesOf, textOf } from './door.ts';
import type { Node, TreeForm } from './tree-edit.ts';

/** Values that programs trip over. */
const oddValues: readonly unknown[] = [
  ...JSON.parse('[null, true, false, 0, -1, 1e308, 9007199254740992, 0.1, [], [null], {}]'),
  ...JSON.parse('[{"toString": null}, {"length": 1e9}, "", " ", "\\u0000", "\\ud800", "\\u202e"]'),
  ...JSON.parse('["__proto__", "constructor", "../..", "${USER_EMAIL}", "${A:B:C}"]'),
  'a'.repeat(5_000),
];

/** Keys that programs trip over; they are written as text, so that `__proto__` and a key twice get in. */
const oddKeys = ['__proto__', 'constructor', 'toString', 'then', 'toJSON', '', '0'] as const;

/** Deeper JSON is changed as bytes. */
const deepest = 100;

export const jsonTree: TreeForm = {
  read(input) {
    try {
      return [nodeOf('', JSON.parse(textOf(input)), 0)];
    } catch {
      return undefined; // No JSON, or too deep.
    }
  },
  write(nodes) {
    const texts = nodes.map(written);
    return bytesOf(texts.length === 1 ? texts.join() : `[${texts.join()}]`);
  },
  odd: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...oddValues).map(inPlaceOf) },
    { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }).map(inPlaceOf) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(...oddKeys).map((key) => (node: Node) => ({ ...node, key })),
    },
  ),
};

function inPlaceOf(value: unknown): (node: Node) => Node {
  return ({ key }) => nodeOf(key, value, 0);
}

function nodeOf(key: string, value: unknown, depth: number): Node {
  if (depth > deepest) throw new RangeError('The JSON is too deep.');
  if (typeof value === 'string' && value.isWellFormed()) {
    return { key, kind: '"', content: bytesOf(value) };
  }
  if (typeof value !== 'object' || value === null) {
    return { key, kind: JSON.stringify(value), content: [] };
  }
  const content = Object.entries(value).map(([name, each]) => nodeOf(name, each, depth + 1));
  return { key, kind: Array.isArray(value) ? '[' : '{', content };
}

function written({ kind, content }: Node): string {
  if (content instanceof Uint8Array) return JSON.stringify(textOf(content));
  if (kind === '[') return `[${content.map(written).join()}]`;
  if (kind !== '{') return `${kind}`;
  return `{${content.map((each) => `${JSON.stringify(each.key)}:${written(each)}`).join()}}`;
}
