import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { alone } from './support/alone.ts';

const root = resolve(import.meta.dirname, '..');

interface Import {
  readonly from: string;
  readonly to: string;
  readonly isTypeOnly: boolean;
}

const files = globSync('{src,adapters,simulator}/**/*.ts', { cwd: root }).sort();

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8');
  const found: Import[] = [];
  const statement = /^(?:import|export)\s(type\s)?([^;]*?)from\s+'([^']+)';|import\('([^']+)'\)/gms;
  for (const match of text.matchAll(statement)) {
    const [, type, names = '', from, lazily] = match;
    const specifier = from ?? lazily;
    if (specifier === undefined) continue;
    const isRelative = specifier.startsWith('.');
    const to = isRelative ? relative(root, resolve(root, dirname(file), specifier)) : specifier;
    const members = names
      .replace(/[{}\s]/g, ' ')
      .split(',')
      .map((name) => name.trim());
    const isTypeOnly =
      type !== undefined || members.filter(Boolean).every((name) => name.startsWith('type '));
    found.push({ from: file, to, isTypeOnly });
  }
  return found;
}

const imports = files.flatMap(importsOf);
const between = (from: RegExp, to: RegExp) =>
  imports.filter((each) => from.test(each.from) && to.test(each.to));
const values = (found: Import[]) => found.filter((each) => !each.isTypeOnly);
const described = (found: Import[]) => found.map(({ from, to }) => `${from} -> ${to}`);

describe('the arrows of the house', () => {
  it('reads enough imports to judge', () => {
    expect(files.length).toBeGreaterThan(40);
    expect(imports.length).toBeGreaterThan(200);
    expect(between(/^src\/main\.ts$/, /^adapters\//)).not.toEqual([]);
  });

  it('only main.ts imports adapters', () => {
    const found = between(/^(src|simulator)\/(?!main\.ts$)/, /^adapters\//);
    const allowed = /^simulator\/demo/;
    expect(described(found.filter(({ from }) => !allowed.test(from)))).toEqual([]);
  });

  it('nothing in src or adapters imports the simulator', () => {
    expect(described(between(/^(src|adapters)\//, /^simulator\//))).toEqual([]);
  });

  it('rooms never import each other’s verbs', () => {
    const verbs = {
      claim: /^src\/claim\/claim\.ts$/,
      possession: /^src\/possession\/prove-possession\.ts$/,
      issue: /^src\/issue\/issue\.ts$/,
      deliver: /^src\/deliver\/(deliver|refuse)\.ts$/,
    };
    for (const [room, verb] of Object.entries(verbs)) {
      const callers = imports.filter(({ to }) => verb.test(to)).map(({ from }) => from);
      expect(new Set(callers), `who imports the verb of ${room}`).toEqual(
        new Set(['src/lifecycle.ts']),
      );
    }
  });

  it('adapters know the contract, errors, x509 and shared pieces, and never Google, Pub/Sub or telemetry', () => {
    const found = between(
      /^adapters\//,
      /^(src\/(google|notification|telemetry|claim|deliver|journal\/(?!process-record)|worker|lifecycle)|@google-cloud\/)/,
    );
    expect(described(values(found))).toEqual([]);
  });

  it('adapters do not import each other', () => {
    const kindOf = (file: string) => file.split('/')[1]?.replace(/\.ts$/, '');
    const found = between(/^adapters\//, /^adapters\//).filter(
      ({ from, to }) =>
        kindOf(from) !== 'index' && kindOf(to) !== 'shared' && kindOf(from) !== kindOf(to),
    );
    expect(described(found)).toEqual([]);
  });

  it('ports import no implementation', () => {
    const ports =
      /^src\/(journal\/journal|notification\/inbox|google\/provisioning-api|issue\/certificate-authority|clock|visit)\.ts$/;
    const implementations =
      /^src\/(journal\/(sqlite|postgres|memory)|notification\/pubsub|google\/chrome|main|worker|lifecycle)/;
    expect(described(between(ports, implementations))).toEqual([]);
  });

  it('reads the time of day in clock.ts alone: pauses by a clock that can be set last for ever', () => {
    const reads = files.filter((file) =>
      /\bDate\.now\b(?!\(\)')/.test(readFileSync(join(root, file), 'utf8')),
    );
    // Whose runs last minutes may ask the machine.
    const ours = reads.filter((file) => !/^(simulator|src\/conformance)\//.test(file));
    expect(ours).toEqual(['src/clock.ts']);
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
    /process\.env\[[^\]]+\] *=[^=]|delete process\.env|stub(Env|Global)|\bchdir\(|process\.(on|once|off|emit|umask|exitCode)\b|useFakeTimers|setSystemTime|spyOn\(|setGlobalDispatcher|globalAgent|stackTraceLimit|setFlagsFromString|service-process\.ts'/;

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
