import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { adapters } from '../../adapters/index.ts';
import {
  type ConformanceArguments,
  conformance as runConformance,
} from '../../src/conformance/command.ts';
import { readNames } from '../../src/conformance/names.ts';
import { adapterLoader } from '../../src/issue/adapter-loader.ts';
import { temporaryDirectory } from '../adapters/temporary-directory.ts';
import { runMain } from '../support/service-process.ts';
import { type Mistake, mistakeNames } from './wrong-ca.ts';

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

/** A word of the row, and a word of the sentence, by which each mistake is known. */
const namedAs: Readonly<Record<Mistake, readonly [row: string, came: RegExp, mend: string]>> = {
  'certifies a key of its own': ['(RSA)', /another public key/, 'request.csr'],
  'loses names': ['every name', /was asked for/, 'mayDrop'],
  'orders twice': ['a repeated order', /4 different certificates/, 'idempotency key'],
  'does not listen to its signal': [
    'aborted signal',
    /went through|did not end/,
    'signal.throwIfAborted()',
  ],
  'throws for a rejection': ['decided against', /Not on the list/, 'decided against this one'],
  'tells its token': ['tells no secret', /a secret is in an error/, 'credentials'],
  'keeps tickets to itself': ['to another instance', /There is no ticket/, 'into the ticket'],
  'cannot revoke twice': ['second revocation', /revoked already/, 'already revoked'],
};

it('asks for the names that it is given, and for no other', async () => {
  const printed: string[] = [];
  const given = {
    kind: 'local-ca',
    only: 'every name',
    'alt-names': 'dns:a.example.org,upn:b@example.org',
  };
  const status = await runConformance(given, adapterLoader(adapters), (text) => printed.push(text));
  expect([status, printed.join('')]).toEqual([0, expect.stringMatching(/^PASS +certifies every/m)]);
  expect(readNames(undefined, given['alt-names'])).toEqual({
    subject: [],
    subjectAltNames: [
      { type: 'dns', value: 'a.example.org' },
      { type: 'upn', value: 'b@example.org' },
    ],
  });
});

describe.concurrent('node src/main.ts conformance', { timeout: 60_000 }, () => {
  it('finds the example right, loaded by its path', async () => {
    const { status, stdout, stderr } = await conformance(
      ...['--kind', './examples/my-ca/my-ca.ts', '--harness', 'examples/my-ca/harness.ts'],
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(rows(stdout, '(?:FAIL|NOT SUPPORTED)')).toEqual([]);
    expect(stdout).toMatch(/^23 passed, 0 failed, 0 not supported$/m);
  });

  it('names each of the mistakes of a wrong plug-in with a sentence of its own', async () => {
    const options = await written('wrong.yaml', stringify({ mistakes: mistakeNames }));
    const { status, stdout, stderr } = await conformance(
      ...['--kind', './test/conformance/wrong-ca.ts', '--options', options],
      ...['--harness', 'test/conformance/wrong-ca-harness.ts'],
    );
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' });
    const failed = rows(stdout, 'FAIL');
    for (const [mistake, [row, came, mend]] of Object.entries(namedAs)) {
      const name = failed.find((one) => one.includes(row)) ?? `no failure for: ${mistake}`;
      const below = lesson(stdout, name);
      expect(below, name).toMatch(/Expected: \S/);
      expect(/Came: (.*)/.exec(below)?.[1], name).toMatch(came);
      expect(/To mend it: (.*)/.exec(below)?.[1], name).toContain(mend);
    }
    expect(stdout).not.toContain('t0ken-');
  });

  it('runs over local-ca, and says why it cannot show the rest', async () => {
    const options = await written('local-ca.yaml', 'directory: ./ca\n');
    const { status, stdout, stderr } = await conformance(
      ...['--kind', 'local-ca', '--options', options, '--roots', join(home.path, 'ca/root.pem')],
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(rows(stdout, 'FAIL')).toEqual([]);
    expect(rows(stdout, 'PASS')).toContain('returns a chain up to a root');
    for (const name of rows(stdout, 'NOT SUPPORTED')) expect(lesson(stdout, name)).toMatch(/\S/);
    expect(await readFile(join(home.path, 'ca/root.pem'), 'utf8')).toContain('BEGIN CERTIFICATE');
  });

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
    ['names without a name', async () => ({ subject: '' }), /--subject, .*no name in them/],
  ])('%s', async (_what, args, why) => {
    const given = { kind: 'local-ca', ...(await args()) };
    const printed: string[] = [];
    const run = runConformance(given, adapterLoader(adapters), (text) => printed.push(text));
    await expect(run).rejects.toThrow(why);
    expect(printed).toEqual([]);
  });
});
