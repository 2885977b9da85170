import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adapters } from '../../adapters/index.ts';
import {
  type ConformanceArguments,
  conformance as runConformance,
} from '../../conformance/command.ts';
import { readNames } from '../../conformance/names.ts';
import { adapterLoader } from '../../src/plug-in/adapter-loader.ts';
import { runMain } from '../support/service-process.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

let home: Awaited<ReturnType<typeof temporaryDirectory>>;

beforeAll(async () => {
  home = await temporaryDirectory();
});
afterAll(() => home[Symbol.asyncDispose]());

async function written(name: string, text: string): Promise<string> {
  const path = join(home.path, name);
  await writeFile(path, text);
  return path;
}

const conformance = (...args: string[]) => runMain(['conformance', ...args]);

/** The rows of the table, by what they begin with. */
function rows(stdout: string, word: string): string[] {
  return [...stdout.matchAll(new RegExp(`^${word} +(\\S.*)$`, 'gm'))].map(([, name = '']) => name);
}

/** What stands below a row. */
function lesson(stdout: string, name: string): string {
  const [, below = ''] = stdout.split(`${name}\n`);
  return below.split(/^\S/m)[0] ?? '';
}

/** Its exit status and what it prints, in this process. */
async function run(given: ConformanceArguments): Promise<{ status: number; stdout: string }> {
  const printed: string[] = [];
  const print = (text: string) => printed.push(text);
  const status = await runConformance(given, adapterLoader(adapters), print);
  return { status, stdout: printed.join('') };
}

describe('conformance', () => {
  it('runs over local-ca, and says why it cannot show the rest', async () => {
    const options = await written('local-ca.yaml', 'directory: ./ca\n');
    const roots = join(home.path, 'ca/root.pem');
    const { status, stdout } = await run({ kind: 'local-ca', options, roots });
    expect(status).toBe(0);
    expect(rows(stdout, 'FAIL')).toEqual([]);
    expect(rows(stdout, 'PASS')).toContain('returns a chain up to a root');
    for (const name of rows(stdout, 'NOT SUPPORTED')) expect(lesson(stdout, name)).toMatch(/\S/);
    expect(await readFile(roots, 'utf8')).toContain('BEGIN CERTIFICATE');
  });

  it('makes no CA in the working directory, and runs the cases that are asked for', async () => {
    const before = process.cwd();
    const empty = join(home.path, 'empty');
    await mkdir(empty);
    process.chdir(empty);
    try {
      const { status, stdout } = await run({ kind: 'local-ca', only: 'VALIDITY' });
      expect({ status, passed: rows(stdout, 'PASS') }).toEqual({
        status: 0,
        passed: ['gives the validity that is asked for'],
      });
      expect(await readdir(empty)).toEqual([]);
    } finally {
      process.chdir(before);
    }
  });

  it('asks for the names that it is given, and for no other', async () => {
    const altNames = 'dns:a.example.org,upn:b@example.org';
    const given = { kind: 'local-ca', only: 'every name', 'alt-names': altNames };
    const { status, stdout } = await run(given);
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^PASS +certifies every/m)]);
    expect(readNames(undefined, altNames)).toEqual({
      subject: [],
      subjectAltNames: [
        { type: 'dns', value: 'a.example.org' },
        { type: 'upn', value: 'b@example.org' },
      ],
    });
  });

  it('ends a case that takes longer than is allowed', async () => {
    const hanging = await written(
      'hanging.ts',
      `import { z } from 'certprov';
       const hang = () => new Promise(() => {});
       const features = { idempotent: false, pending: false, revoke: false, keyTypes: ['ec'], mayDrop: [] };
       const ca = { kind: 'h', features, check: hang, issue: hang, collect: hang, async [Symbol.asyncDispose]() {} };
       export default { kind: 'h', options: z.strictObject({}), connect: async () => ca };`,
    );
    const { status, stdout } = await run({ kind: hanging, only: 'own check', longestCaseMs: 40 });
    expect(status).toBe(1);
    expect(lesson(stdout, 'passes its own check')).toMatch(
      /Came: it did not end within 40 ms\.\n.*To mend it: .*--timeout SECONDS/,
    );
  });
});

describe('node src/main.ts conformance', { timeout: 60_000 }, () => {
  it('tells no secret that a plug-in writes to its output, and counts it', async () => {
    const token = 'correct-horse-battery-staple';
    const file = await written('token', `${token}\n`);
    const chatty = await written(
      'chatty.ts',
      `import { defineAdapter, ProvisioningError, secretReference, z } from 'certprov';
       const features = { idempotent: false, pending: false, revoke: false, keyTypes: ['ec' as const], mayDrop: [] };
       const down = async () => { throw new ProvisioningError('ca-unavailable', 'It is down.'); };
       export default defineAdapter({
         kind: 'chatty',
         options: z.strictObject({ token: secretReference.describe('A token.') }),
         async connect({ token }, context) {
           const secret = await context.readSecret(token);
           const check = async () => { console.log('hello', secret); void Promise.reject(new Error('stray')); };
           return { kind: 'chatty', features, check, issue: down, collect: down, async [Symbol.asyncDispose]() {} };
         },
       });`,
    );
    const options = await written('chatty.yaml', `token: { file: ${file} }\n`);
    const { status, stdout, stderr } = await conformance('--kind', chatty, '--options', options);
    expect(status).toBe(1);
    expect(stdout + stderr).not.toContain(token);
    expect(stderr).toContain('hello [a secret]');
    expect(lesson(stdout, 'passes its own check')).toContain('Came: Error: stray.');
    expect(lesson(stdout, 'certifies exactly the key of an order (EC)')).toContain('start the CA');
    const silent = rows(stdout, 'FAIL').at(-1) ?? '';
    expect(lesson(stdout, silent)).toContain(
      'written to stdout or stderr in “passes its own check”',
    );
  });
});

describe('conformance cannot be run with', () => {
  it.each<[string, () => Promise<Partial<ConformanceArguments>>, RegExp]>([
    ['an unknown kind', async () => ({ kind: 'lokal-ca' }), /Did you mean local-ca/],
    [
      'wrong options, and names them all with line, path and fix',
      async () => ({ options: await written('w.yaml', 'name: 3\nkeytype: x\n') }),
      /w\.yaml:1:1 name: must be text.* Fix: .*\n.*w\.yaml:2:1 keytype: .*write keyType/,
    ],
    [
      'a list in place of options',
      async () => ({ options: await written('list.yaml', '- directory') }),
      /list\.yaml:1:1 the file holds no options. Fix: write the options/,
    ],
    [
      'an empty file in place of options',
      async () => ({ options: await written('empty.yaml', '# nothing yet') }),
      /empty\.yaml:1:1 the file holds no options. Fix: write the options/,
    ],
    [
      'YAML that cannot be read',
      async () => ({ options: await written('broken.yaml', 'a: [1\nb: 2\n') }),
      /broken\.yaml:\d+:\d+ .*Fix: /,
    ],
    [
      'options that are not there',
      async () => ({ options: join(home.path, 'absent.yaml') }),
      /absent\.yaml.*--options FILE/,
    ],
    [
      'a secret that is not there',
      async () => {
        const text = 'url: http://127.0.0.1:9/\ntoken: { env: CERTPROV_NOT_SET }\n';
        return { kind: './examples/my-ca/my-ca.ts', options: await written('m.yaml', text) };
      },
      /m\.yaml:2:1 token: the environment variable CERTPROV_NOT_SET is not set. Fix: /,
    ],
    [
      'a module that is no harness',
      async () => ({ harness: await written('h.ts', 'export const x = 1;') }),
      /no default export that is a function/,
    ],
    [
      'a harness that fails',
      async () => ({
        harness: await written('f.ts', `export default () => { throw new Error('no port'); };`),
      }),
      /f\.ts: it cannot set up a CA: Error: no port/,
    ],
    [
      'an adapter that does not connect',
      async () => ({ options: await written('d.yaml', `directory: ${home.path}/d.yaml\n`) }),
      /local-ca does not connect with these options: the error ca-misconfigured/,
    ],
    [
      'roots that cannot be read',
      async () => ({
        options: await written('r.yaml', 'directory: ./other\n'),
        roots: join(home.path, 'absent.pem'),
      }),
      /--roots .*absent\.pem/,
    ],
    [
      'a name that is none',
      async () => ({ 'alt-names': 'ip:10.0.0.1' }),
      /--alt-names: "ip:10\.0\.0\.1" is not one of dns:/,
    ],
    [
      'a text that is in no case’s name',
      async () => ({ only: 'weather' }),
      /--only weather: no case has this in its name\. There are:\n {2}declares what it can do/,
    ],
    ['names without a name', async () => ({ subject: '' }), /--subject, .*no name in them/],
  ])('%s', async (_what, args, why) => {
    const given = { kind: 'local-ca', ...(await args()) };
    const printed: string[] = [];
    const run = runConformance(given, adapterLoader(adapters), (text) => printed.push(text));
    await expect(run).rejects.toThrow(why);
    expect(printed).toEqual([]);
  });
});
