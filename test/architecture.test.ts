import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { parseSync, type Span, Visitor } from 'oxc-parser';
import { describe, expect, it } from 'vitest';
import { alone } from './support/alone.ts';

const root = resolve(import.meta.dirname, '..');

interface Import {
  readonly from: string;
  readonly to: string;
}

const houses = '{src,conformance,adapters,simulator,proofs,tools}/**/*.{ts,mts,cts,tsx,js,mjs,cjs}';
const files = globSync(houses, { cwd: root }).sort();

/** The package may be imported by its own name, too. */
const ownName = new Map([
  ['certprov', 'src/plug-in/plug-in.ts'],
  ['certprov/conformance', 'conformance/kit.ts'],
]);

/** Whatever a file names as a module: imports of values, types and nothing at all, re-exports, and `import()` in code and types. */
function specifiersOf(file: string, text: string): string[] {
  const found: string[] = [];
  const name = (source: { type: string } | null) => {
    if (source === null) return;
    const { start, end } = source as unknown as Span;
    const written = text.slice(start, end);
    const literal = /^(['"`])([^$]*)\1$/.exec(written)?.[2];
    found.push(literal ?? `(${written})`);
  };
  new Visitor({
    ImportDeclaration: ({ source }) => name(source),
    ExportNamedDeclaration: ({ source }) => name(source),
    ExportAllDeclaration: ({ source }) => name(source),
    ImportExpression: ({ source }) => name(source),
    TSImportType: ({ source }) => name(source),
    TSExternalModuleReference: ({ expression }) => name(expression),
  }).visit(parseSync(file, text).program);
  return found;
}

function importsOf(file: string, text = readFileSync(join(root, file), 'utf8')): Import[] {
  return specifiersOf(file, text).map((specifier) => {
    const isRelative = specifier.startsWith('.');
    const to = isRelative
      ? relative(root, resolve(root, dirname(file), specifier))
      : (ownName.get(specifier) ?? specifier);
    return { from: file, to };
  });
}

const imports = files.flatMap((file) => importsOf(file));
const between = (from: RegExp, to: RegExp) =>
  imports.filter((each) => from.test(each.from) && to.test(each.to));
const described = (found: Import[]) => found.map(({ from, to }) => `${from} -> ${to}`);

/** From the ground up: an import goes to a lower floor, or stays in its own room. Rooms of one floor do not know each other. */
const floors: readonly (readonly string[])[] = [
  ['src/error-table.ts', 'src/own-version.ts', 'src/words'],
  ['src/errors.ts'],
  ['src/x509', 'src/time'],
  ['src/request'],
  ['src/events', 'src/plug-in'],
  ['src/watch', 'src/profile', 'src/network'],
  ['src/google-auth'],
  ['src/google', 'src/journal'],
  ['src/notification', 'src/authority'],
  ['src/visit'],
  ['src/claim', 'src/possession', 'src/issue', 'src/deliver'],
  ['src/lifecycle', 'src/telemetry'],
  ['src/config'],
  ['src/backup', 'conformance', 'adapters'],
  ['src/command'],
  ['src/main.ts'],
  ['simulator'],
  ['proofs', 'tools'],
];
const floorOf = new Map(floors.flatMap((rooms, floor) => rooms.map((room) => [room, floor])));

/** `src/claim` of `src/claim/claim.ts`; a file that stands in the hall is its own room. */
function roomOf(file: string): string {
  const [house = '', room = ''] = file.split('/');
  return house === 'src' ? join(house, room) : house;
}

/** Strongly connected: the way from a file back to itself, if there is one. */
function circleThrough(start: string, next: ReadonlyMap<string, readonly string[]>) {
  const cameFrom = new Map<string, string>();
  const queue = [start];
  for (const file of queue) {
    for (const to of next.get(file) ?? []) {
      if (to === start) {
        const way = [start, file];
        for (let at = file; at !== start; at = cameFrom.get(at) ?? start)
          way.push(cameFrom.get(at) ?? start);
        return way.reverse();
      }
      if (!cameFrom.has(to)) {
        cameFrom.set(to, file);
        queue.push(to);
      }
    }
  }
  return undefined;
}

describe('the floors of the house', () => {
  it('reads enough imports to judge', () => {
    expect(files.length).toBeGreaterThan(350);
    expect(imports.length).toBeGreaterThan(1_500);
    expect(between(/^src\/main\.ts$/, /^adapters\//)).not.toEqual([]);
  });

  it.each([
    ["import { a } from './a.ts';"],
    ["import type { A } from './a.ts';"],
    ["import a from './a.ts' with { type: 'json' };"],
    ["import './a.ts';"],
    ['import "./a.ts"'],
    ["export { a } from './a.ts';"],
    ["export type * from './a.ts';"],
    ["const a = await import('./a.ts');"],
    ['const a = await import(\n  `./a.ts`\n);'],
    ["let a: typeof import('./a.ts');"],
    ["let a: import('./a.ts').A;"],
    ["import a = require('./a.ts');"],
  ])('sees the import in %s', (text) => {
    expect(importsOf('src/words/b.ts', text)).toEqual([
      { from: 'src/words/b.ts', to: 'src/words/a.ts' },
    ]);
  });

  it('sees the package imported by its own name', () => {
    const [found] = importsOf('src/words/b.ts', "import { z } from 'certprov';");
    expect(found?.to).toBe('src/plug-in/plug-in.ts');
  });

  it('names what it imports, except where a plug-in is loaded', () => {
    const unnamed = imports.filter(({ to }) => to.startsWith('('));
    expect(unnamed.map(({ from }) => from)).toEqual(['src/plug-in/import-plug-in.ts']);
  });

  it('imports nothing that stands on no floor', () => {
    const outside = imports.filter(({ to }) => /\.[a-z]+$/.test(to) && !floorOf.has(roomOf(to)));
    expect(described(outside)).toEqual([]);
  });

  it('has a floor for every room', () => {
    expect([...new Set(files.map(roomOf))].sort()).toEqual([...floorOf.keys()].sort());
  });

  it('is drawn in the tour floor by floor', () => {
    const tour = readFileSync(join(root, 'docs/tour.md'), 'utf8');
    const drawn: string[][] = [];
    for (const [, floor, rooms = ''] of tour.matchAll(/^\| ?(\d*) \| (`[^|]+`) \|/gm)) {
      if (floor) expect(Number(floor)).toBe(drawn.push([]) - 1);
      const named = [...rooms.matchAll(/`([^`]+?)\/?`/g)].map(([, room = '']) => room);
      drawn.at(-1)?.push(...named);
    }
    const sorted = (each: readonly (readonly string[])[]) => each.map((rooms) => rooms.toSorted());
    expect(sorted(drawn)).toEqual(sorted(floors));
  });

  it('imports downwards only, types included', () => {
    const up = imports.filter(({ from, to }) => {
      const below = floorOf.get(roomOf(to));
      if (below === undefined || roomOf(from) === roomOf(to)) return false;
      return below >= (floorOf.get(roomOf(from)) ?? -1);
    });
    expect(described(up)).toEqual([]);
  });

  it('has no circle, types included', () => {
    const next = new Map(files.map((file) => [file, [] as string[]]));
    for (const { from, to } of imports) next.get(from)?.push(to);
    const circles = files.map((file) => circleThrough(file, next)).filter(Boolean);
    expect(circles.map((way) => way?.join(' -> '))).toEqual([]);
    const known = new Map([
      ...next,
      ['src/words/a.ts', ['src/words/b.ts']],
      ['src/words/b.ts', ['src/words/a.ts']],
    ]);
    expect(circleThrough('src/words/a.ts', known)).toHaveLength(3);
  });

  it('lends nothing from test/ to what is no test', () => {
    expect(described(imports.filter(({ to }) => to.startsWith('test/')))).toEqual([]);
  });

  it('knows adapters in main.ts alone, apart from what stands beside the product', () => {
    const found = between(/^(src|conformance)\/(?!main\.ts$)/, /^adapters\//);
    expect(described(found)).toEqual([]);
  });

  it('lets only the corridor call the verbs of the rooms', () => {
    const verbs = [
      'src/claim/claim.ts',
      'src/possession/prove-possession.ts',
      'src/issue/issue.ts',
      ...['accept', 'deliver', 'refuse', 'wind-up'].map((verb) => `src/deliver/${verb}.ts`),
    ];
    for (const verb of verbs) {
      const callers = imports.filter(({ to }) => to === verb).map(({ from }) => from);
      expect([...new Set(callers)], `who imports ${verb}`).toEqual(['src/lifecycle/lifecycle.ts']);
    }
  });

  it('gives adapters the contract and what lies below it, never Google, the journal or telemetry', () => {
    const allowed =
      /^src\/((errors|own-version)\.ts|(words|x509|time|request|plug-in|watch|network|google-auth)\/)/;
    const found = between(/^adapters\//, /^(src\/|@google-cloud\/)/);
    expect(described(found.filter(({ to }) => !allowed.test(to)))).toEqual([]);
  });

  it('does not let adapters import each other', () => {
    const kindOf = (file: string) => file.split('/')[1];
    const found = between(/^adapters\//, /^adapters\//).filter(
      ({ from, to }) =>
        kindOf(from) !== 'index.ts' && kindOf(to) !== 'shared' && kindOf(from) !== kindOf(to),
    );
    expect(described(found)).toEqual([]);
    expect(described(between(/^adapters\/shared\//, /^adapters\/(?!shared\/)/))).toEqual([]);
  });

  it('reads the configuration in one direction: what may stand there, what is wrong with it, what lies outside', () => {
    const upwards = [
      ...between(/^src\/config\/schema\//, /^src\/config\/(?!schema\/)/),
      ...between(/^src\/config\/explain\//, /^src\/config\/(?!explain\/)/),
      ...between(/^src\/config\//, /^src\/config\/load-config\.ts$/),
    ];
    expect(described(upwards)).toEqual([]);
    expect(between(/^src\/config\/load\//, /^src\/config\/(schema|explain)\//)).not.toEqual([]);
  });

  it('lets ports import no implementation', () => {
    const ports =
      /^src\/(journal\/journal|notification\/inbox|google\/provisioning-api|plug-in\/certificate-authority|time\/clock|visit\/visit)\.ts$/;
    const implementations =
      /^src\/(journal\/(sqlite|postgres|memory)|notification\/pubsub|google\/chrome)/;
    expect(described(between(ports, implementations))).toEqual([]);
  });

  it('reads the time of day in clock.ts alone: pauses by a clock that can be set last for ever', () => {
    const reads = files.filter((file) =>
      /\bDate\.now\b(?!\(\)')/.test(readFileSync(join(root, file), 'utf8')),
    );
    // Whose runs last minutes may ask the machine.
    const ours = reads.filter((file) => !/^(simulator|conformance|proofs|tools)\//.test(file));
    expect(ours).toEqual(['src/time/clock.ts']);
  });

  it('has no barrels, no utils.ts and no types.ts', () => {
    const named = files.filter((file) => /(^|\/)(utils?|types|helpers)\.ts$/.test(file));
    const barrels = files.filter(
      (file) => /\/index\.ts$/.test(file) && file !== 'adapters/index.ts',
    );
    expect([...named, ...barrels]).toEqual([]);
  });
});

describe('the test files that share a process', () => {
  const changes =
    /process\.env\[[^\]]+\] *=[^=]|delete process\.env|stub(Env|Global)|\bchdir\(|process\.(on|once|off|emit|umask|exitCode)\b|useFakeTimers|setSystemTime|spyOn\(|setGlobalDispatcher|globalAgent|stackTraceLimit|setFlagsFromString|sete[ug]id|service-process\.ts'/;

  it('change nothing that belongs to the whole process, and start no service', () => {
    const tests = globSync('{test,examples}/**/*.test.ts', {
      cwd: root,
      exclude: ['test/peers/**'],
    });
    const apart = new Set(globSync([...alone], { cwd: root }));
    const shared = tests.filter((file) => !apart.has(file) && file !== 'test/architecture.test.ts');
    expect(shared.length).toBeGreaterThan(80);
    expect(shared.filter((file) => changes.test(readFileSync(join(root, file), 'utf8')))).toEqual(
      [],
    );
  });

  it('are all but those that are named, each of which is there', () => {
    for (const pattern of alone) expect(globSync(pattern, { cwd: root }), pattern).not.toEqual([]);
  });
});
