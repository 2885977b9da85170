import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { z } from 'zod';
import { ConfigError } from '../../src/config/explain/problem.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { defineAdapter } from '../../src/plug-in/certificate-authority.ts';

const toy = defineAdapter({
  kind: 'toy',
  options: z.strictObject({ url: z.string().describe('Where it is.') }),
  connect: () => Promise.reject(new Error('not in this test')),
});

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'certprov-hostile-'));
});

afterEach(() => rm(directory, { recursive: true }));

const good = {
  pubsub: { project: 'my-project', subscription: 'worker' },
  authorities: { ca: { kind: 'toy', options: { url: 'x' } } },
  profiles: { p: { subject: 'CN=x' } },
};

/** Where a good file is spoilt, one or several places at once. */
const places = [
  ['instance'],
  ['google'],
  ['google', 'endpoint'],
  ['google', 'credentials'],
  ['pubsub', 'subscription'],
  ['pubsub', 'endpoint'],
  ['journal', 'kind'],
  ['journal', 'url'],
  ['authorities'],
  ['authorities', 'ca'],
  ['authorities', 'ca', 'options'],
  ['authorities', 'ca', 'roots'],
  ['authorities', 'ca', 'mayDrop'],
  ['profiles', 'p'],
  ['profiles', 'p', 'subject'],
  ['profiles', 'p', 'subjectAltNames'],
  ['profiles', 'p', 'keyUsages'],
  ['scepProfiles', 'extendedKeyUsages'],
  ['limits', 'visits'],
  ['server', 'host'],
] as const;

function spoil(file: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [first = '', ...rest] = path;
  if (rest.length === 0) {
    file[first] = value;
    return;
  }
  const inner = file[first];
  const isGroup = typeof inner === 'object' && inner !== null && !Array.isArray(inner);
  const group = isGroup ? (inner as Record<string, unknown>) : {};
  file[first] = group;
  spoil(group, rest, value);
}

describe('loadConfig, whatever is in the file', () => {
  it('loads it or throws a ConfigError whose every problem has a place and a fix', async () => {
    const changes = fc.array(fc.tuple(fc.constantFrom(...places), fc.jsonValue({ maxDepth: 2 })), {
      minLength: 1,
      maxLength: 4,
    });
    await fc.assert(
      fc.asyncProperty(changes, async (list) => {
        const file: Record<string, unknown> = structuredClone(good);
        for (const [path, value] of list) spoil(file, path, value);
        const name = join(directory, 'config.yaml');
        await writeFile(name, stringify(file));
        try {
          await loadConfig(name, { loadAdapter: async () => toy, env: {} });
        } catch (error) {
          if (!(error instanceof ConfigError)) throw error;
          expect(error.problems.length).toBeGreaterThan(0);
          for (const { line, column, message, fix } of error.problems) {
            expect(Math.min(line, column)).toBeGreaterThanOrEqual(1);
            expect(message).not.toBe('');
            expect(fix).not.toBe('');
          }
        }
      }),
      { numRuns: 150 },
    );
  });
});
