import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
} from 'yaml';
import { explainYamlError } from './explain-yaml-error.ts';
import { type ConfigProblem, splitFix } from './problem.ts';

export type Path = readonly PropertyKey[];

/** Every alias multiplies what one line can make of memory; a configuration has use for a few. */
const mostAliases = 50;

/** Where YAML is broken, every further bracket is one more mistake; the first ones are what can be mended. */
const mostYamlProblems = 100;

/** The parsed file, and where in it each path stands. */
export interface ConfigDocument {
  /** Plain data. A key with nothing after it is taken as not written. */
  readonly data: unknown;
  /** What YAML itself found wrong. */
  readonly problems: readonly ConfigProblem[];
  /** The first line that could not be parsed: nothing from there on is to be believed. */
  readonly brokenFromLine: number;
  problem(path: Path, message: string, fix: string): ConfigProblem;
}

/** Parses YAML 1.2. `file` is how the problems name it. Never throws for what is in the text. */
export function parseConfigDocument(text: string, file: string): ConfigDocument {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    // A pretty error quotes the line, and a secret may stand in it.
    prettyErrors: false,
    // Its warnings go to stderr past everybody, and quote the text too.
    logLevel: 'error',
    stringKeys: true,
    // Its own look compares each key with every other one: 23 seconds for 30,000.
    uniqueKeys: false,
    version: '1.2',
  });
  const problemAt = (offset: number, path: Path, message: string, fix: string): ConfigProblem => {
    const { line, col } = lines.linePos(offset);
    return {
      file,
      line: Math.max(1, line),
      column: Math.max(1, col),
      path: pathText(path),
      ...splitFix(message, fix),
    };
  };
  const problems: ConfigProblem[] = [];
  let brokenFromLine = Number.POSITIVE_INFINITY;
  const found = [...document.errors, ...document.warnings, ...wrongKeys(document)];
  const inOrder = found.toSorted((one, other) => one.pos[0] - other.pos[0]);
  for (const error of inOrder.slice(0, mostYamlProblems)) {
    const offset = error.pos[0];
    const path = pathAt(document.contents, offset);
    const { message, fix, breaks } = explainYamlError(error.code, path.at(-1));
    if (breaks) {
      const begin = Math.min(offset, offsetOf(document, path));
      brokenFromLine = Math.min(brokenFromLine, lines.linePos(begin).line);
    }
    problems.push(problemAt(offset, path, message, fix));
  }
  dropUnusableKeys(document);
  let data: unknown;
  try {
    data = withoutNulls(document.toJS({ maxAliasCount: mostAliases }));
  } catch (error) {
    brokenFromLine = 0;
    problems.push(
      problemAt(0, [], `the file's aliases cannot be resolved (${aliasProblem(error)})`, aliasFix),
    );
  }
  if (data === null && problems.length === 0) {
    problems.push(
      problemAt(
        0,
        [],
        'the file is empty',
        'begin with a copy of the example, config.yaml at the root of the project',
      ),
    );
    brokenFromLine = 0;
  }
  return {
    data,
    problems,
    brokenFromLine,
    problem: (path, message, fix) => problemAt(offsetOf(document, path), path, message, fix),
  };
}

/** What JavaScript takes for something else than a key; zod passes over it in silence. */
const protoKey = '__proto__';

/** Keys that stand a second time in their map, and those that cannot be one. */
function wrongKeys(document: Document.Parsed) {
  const wrong: { code: 'DUPLICATE_KEY' | 'PROTO_KEY'; pos: readonly [number] }[] = [];
  visit(document, {
    Map(_at, { items }) {
      const seen = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        const pos = [startOf(key) ?? 0] as const;
        if (key.value === protoKey) wrong.push({ code: 'PROTO_KEY', pos });
        else if (seen.has(key.value)) wrong.push({ code: 'DUPLICATE_KEY', pos });
        seen.add(key.value);
      }
    },
  });
  return wrong;
}

/**
 * Takes out what has a list or a map for its key, or what cannot be one. It is among the document's errors by now; turned
 * into data, each list or map would be written as text inside the text of the next one around it, doubling with every
 * level.
 */
function dropUnusableKeys(document: Document.Parsed): void {
  visit(document, {
    Pair: (_at, { key }) =>
      isCollection(key) || (isScalar(key) && key.value === protoKey) ? visit.REMOVE : undefined,
  });
}

/** `authorities.default_ca_config.roots[0]`; a key that is no plain word stands in quotes. */
export function pathText(path: Path): string {
  return path
    .map((key, index) => {
      if (typeof key === 'number') return `[${key}]`;
      const word = String(key);
      if (!/^[\w-]+$/.test(word)) return `[${JSON.stringify(word.slice(0, 80))}]`;
      return index === 0 ? word : `.${word}`;
    })
    .join('');
}

const aliasFix =
  'write the value out where it is needed; an anchor (&name) must stand before its alias (*name)';

function aliasProblem(error: unknown): string {
  const unresolved = error instanceof ReferenceError && /^Unresolved alias/.test(error.message);
  return unresolved ? 'an alias has no anchor before it' : `more than ${mostAliases} uses`;
}

/** The path of the key or value that starts at `offset`, or of the deepest one around it. */
function pathAt(root: unknown, offset: number): Path {
  const path: PropertyKey[] = [];
  for (let node = root; ; ) {
    const entries = children(node);
    const inner =
      entries.find(({ key }) => startOf(key) === offset) ??
      entries.find(({ value }) => encloses(value, offset));
    if (inner === undefined) return path;
    path.push(inner.name);
    if (startOf(inner.key) === offset) return path;
    node = inner.value;
  }
}

/** Where `path` stands: its key, or the nearest parent's that is there. */
function offsetOf(document: Document.Parsed, path: Path): number {
  let offset = startOf(document.contents) ?? 0;
  let node: unknown = document.contents;
  for (const step of path) {
    const resolved = isAlias(node) ? node.resolve(document) : node;
    const child = children(resolved).findLast(({ name }) => name === step);
    if (child === undefined) return offset;
    offset = startOf(child.key) ?? startOf(child.value) ?? offset;
    node = child.value;
  }
  return offset;
}

function children(node: unknown): { name: string | number; key: unknown; value: unknown }[] {
  if (isMap(node)) {
    return node.items.map(({ key, value }) => ({
      name: isScalar(key) ? String(key.value) : '?',
      key,
      value,
    }));
  }
  if (isSeq(node))
    return node.items.map((value, index) => ({ name: index, key: undefined, value }));
  return [];
}

function rangeOf(node: unknown): readonly [number, number, number] | undefined {
  const ranged = isMap(node) || isSeq(node) || isScalar(node) || isAlias(node);
  return ranged ? (node.range ?? undefined) : undefined;
}

function startOf(node: unknown): number | undefined {
  return rangeOf(node)?.[0];
}

function encloses(node: unknown, offset: number): boolean {
  const range = rangeOf(node);
  return range !== undefined && range[0] <= offset && offset <= range[2];
}

/** A key whose value is empty, because all lines below it are commented out, counts as not written. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== null)
      .map(([key, inner]) => [key, withoutNulls(inner)]),
  );
}
