import type { Random } from './random.ts';

/** Values that programs trip over. */
const oddValues: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -0,
  -1,
  1e308,
  2 ** 53,
  0.1,
  '',
  ' ',
  '\u0000',
  '\ud800',
  '__proto__',
  'constructor',
  '../..',
  '${USER_EMAIL}',
  '${A:B:C}',
  'a'.repeat(5_000),
  [],
  [null],
  [[[[]]]],
  {},
  { toString: null },
  { toString: 0 },
  { length: 1e9 },
];

/** Keys that programs trip over; `__proto__` gets in as text, since an object cannot have it. */
const oddKeys = ['__proto__', 'constructor', 'toString', 'then', 'toJSON', '', '0'] as const;

/** Changes JSON somewhere and keeps it JSON; undefined when it is none. */
export function mutateJson(text: string, random: Random): string | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined; // Bytes are mutated then.
  }
  if (random.below(8) === 0) return renameKey(text, random);
  return JSON.stringify(changed(json, random, 0));
}

function renameKey(text: string, random: Random): string {
  const keys = [...text.matchAll(/"[^"\\]*"\s*:/g)];
  if (keys.length === 0) return text;
  const key = random.pick(keys);
  const end = key.index + key[0].length;
  return `${text.slice(0, key.index)}${JSON.stringify(random.pick(oddKeys))}:${text.slice(end)}`;
}

function changed(json: unknown, random: Random, depth: number): unknown {
  const isLeaf = typeof json !== 'object' || json === null || Object.keys(json).length === 0;
  if (isLeaf || random.below(5 + depth) === 0) return replacement(json, random);
  if (Array.isArray(json)) return changedArray(json, random, depth);
  const entries = Object.entries(json);
  const [key] = random.pick(entries);
  switch (random.below(8)) {
    case 0:
      return Object.fromEntries(entries.filter(([name]) => name !== key));
    case 1:
      return { ...json, [random.pick(entries)[0]]: Reflect.get(json, key) };
    case 2:
      return { ...json, [random.pick(oddKeys)]: random.pick(oddValues) };
    default:
      return { ...json, [key]: changed(Reflect.get(json, key), random, depth + 1) };
  }
}

function changedArray(list: readonly unknown[], random: Random, depth: number): unknown {
  const at = random.below(list.length);
  switch (random.below(5)) {
    case 0:
      return list.toSpliced(at, 1);
    case 1:
      return Array.from({ length: random.below(200) }, () => list[at]);
    default:
      return list.with(at, changed(list[at], random, depth + 1));
  }
}

function replacement(json: unknown, random: Random): unknown {
  if (typeof json === 'string' && json !== '' && random.below(2) === 0) {
    const at = random.below(json.length);
    const put = random.pick(['', '\n', '\u0000', ',', '=', '$', '{', '}', '/', '%', 'é', '\u202e']);
    return `${json.slice(0, at)}${put}${json.slice(at + random.below(3))}`;
  }
  return random.pick(oddValues);
}
