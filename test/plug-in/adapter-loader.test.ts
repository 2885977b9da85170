import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { adapters } from '../../adapters/index.ts';
import { AdapterLoadError, adapterLoader } from '../../src/plug-in/adapter-loader.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const load = adapterLoader(adapters);
const contract = pathToFileURL(
  join(import.meta.dirname, '../../src/plug-in/certificate-authority.ts'),
).href;

/** An adapter as an outside author would write it, in TypeScript. */
const typescript = `
  import { defineAdapter, type CertificateAuthority } from '${contract}';
  interface Empty { readonly safeParse: () => unknown }
  const options: Empty = { safeParse: () => ({ success: true, data: {} }) };
  export default defineAdapter({
    kind: 'mine', options: options as never,
    connect: async (): Promise<CertificateAuthority> => { throw new Error('not now'); },
  });`;

const javascript = (kind: string) =>
  `export default { kind: '${kind}', options: { safeParse() {} }, connect: async () => {} };`;

describe('adapterLoader', () => {
  let home: Awaited<ReturnType<typeof temporaryDirectory>>;

  beforeEach(async () => {
    home = await temporaryDirectory();
  });
  afterEach(() => home[Symbol.asyncDispose]());

  async function write(path: string, text: string): Promise<void> {
    const file = join(home.path, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }

  async function problem(kind: string): Promise<string> {
    const error = await load(kind, home.path).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(AdapterLoadError);
    return (error as AdapterLoadError).message;
  }

  it.each(Object.keys(adapters))(
    'loads the built-in kind %s, which is called so itself',
    async (kind) => {
      expect(await load(kind, home.path)).toMatchObject({ kind });
    },
  );

  it.each(Object.keys(adapters))('finds every option of %s described', async (kind) => {
    const { options } = await load(kind, home.path);
    const shape = (options as unknown as { shape: Record<string, { description?: string }> }).shape;
    for (const [name, field] of Object.entries(shape)) {
      expect(field.description, name).toMatch(/\.$/);
    }
    expect(options.safeParse({ surplus: 1 }).success).toBe(false);
  });

  it.each(['./my-ca.ts', '../my-ca.ts', '/my-ca.ts'])(
    'loads TypeScript as it is by %s',
    async (path) => {
      await write('my-ca.ts', typescript);
      await mkdir(join(home.path, 'below'));
      const directory = path.startsWith('..') ? join(home.path, 'below') : home.path;
      const kind = path.startsWith('/') ? join(home.path, path) : path;
      expect(await load(kind, directory)).toMatchObject({ kind: 'mine' });
    },
  );

  it.each([
    ['main', { main: './lib.cjs.mjs' }],
    ['a plain export', { exports: './lib.cjs.mjs' }],
    ['an export for import alone', { exports: { '.': { import: './lib.cjs.mjs' } } }],
    ['nested conditions', { exports: { node: { import: { default: './lib.cjs.mjs' } } } }],
  ])('loads a package beside the configuration with %s', async (_what, manifest) => {
    await write(
      'node_modules/@me/my-ca/package.json',
      JSON.stringify({ name: '@me/my-ca', ...manifest }),
    );
    await write('node_modules/@me/my-ca/lib.cjs.mjs', javascript('packaged'));
    expect(await load('@me/my-ca', home.path)).toMatchObject({ kind: 'packaged' });
  });

  it('names the known kinds and the nearest for a name that is none', async () => {
    const message = await problem('local_ca');
    expect(message).toContain('Did you mean local-ca?');
    for (const kind of Object.keys(adapters)) expect(message).toContain(kind);
    expect(await problem('some-product')).not.toContain('Did you mean');
  });

  it.each(['constructor', 'toString', '__proto__', 'fs', 'node:fs', ''])(
    'takes %j for no kind',
    async (kind) => {
      expect(await problem(kind)).not.toBe('');
    },
  );

  it('says which file is missing', async () => {
    expect(await problem('./my-ca.ts')).toContain(join(home.path, 'my-ca.ts'));
  });

  it('says that a directory is no file', async () => {
    await mkdir(join(home.path, 'some'));
    expect(await problem('./some')).toContain(`${join(home.path, 'some')} is no file`);
  });

  it('says what a package without a main module lacks', async () => {
    await write('node_modules/odd/package.json', JSON.stringify({ exports: { './x': './x.js' } }));
    expect(await problem('odd')).toContain('"exports"');
  });

  it.each([
    ['no default export', 'export const kind = 1;', 'no default export. It exports: kind.'],
    ['nothing', '', 'no default export.'],
    ['a function', 'export default () => 1;', 'is not an adapter: it is a function'],
    ['no kind', `export default { options: { safeParse() {} }, connect() {} }`, 'lacks kind'],
    ['no schema', `export default { kind: 'x', options: {}, connect() {} }`, 'lacks options'],
    ['no connect', `export default { kind: 'x', options: { safeParse() {} } }`, 'lacks connect'],
    [
      'a wrong limit',
      `export default { kind: 'x', options: { safeParse() {} }, connect() {}, concurrency: 0 }`,
      'its concurrency is the number 0 (a whole number from 1)',
    ],
  ])('says what a module with %s lacks', async (_what, text, lack) => {
    await write('odd.mjs', text);
    expect(await problem('./odd.mjs')).toContain(lack);
  });
});

/** Modules that cannot be loaded, by their names, and what is said of them. */
const broken: Readonly<Record<string, readonly [text: string, said: string]>> = {
  'throws.ts': [`\nthrow new Error('out of order');`, 'out of order (throws.ts:2:7)'],
  'null.ts': ['throw null;', 'it threw null instead of an error'],
  'typescript.ts': ['\n\nexport default {;', '(typescript.ts:3)'],
  'javascript.mjs': ['\n\nexport default {;', '(javascript.mjs:3)'],
  'enum.ts': [
    'enum A { B }\nexport default A;',
    '(enum.ts:1). Node removes types and does nothing',
  ],
  'type.ts': [
    `import { defineAdapter, CertificateAuthority } from 'certprov';`,
    'If CertificateAuthority is a type, write `import { type CertificateAuthority }`',
  ],
  'ending.ts': [`import './null';`, "An import has its file's whole name: "],
  'nowhere.ts': [`import './nix.ts';`, 'Correct the path'],
  'needs.ts': [`import 'no-such-package';`, 'Install the package beside the plug-in'],
  'text.txt': ['hello', 'A plug-in is a .ts, .mts, .js, .mjs or .cjs file'],
  'cjs/my-ca.ts': [`import 'certprov';`, 'cjs/package.json says so ("type": "commonjs"). Write'],
  'cjs/my-ca.js': [
    'export default 1;',
    'Write "type": "module" there, or let the file end in .mjs',
  ],
  'hang.ts': ['await new Promise(() => {});', 'was not loaded within 0.3 seconds'],
};

const commonJs = (left: string) => `const { defineAdapter, z } = require('certprov');
  ${left} defineAdapter({ kind: 'old', options: z.strictObject({}), connect: async () => {} });`;

const right: Readonly<Record<string, string>> = {
  'exports.cjs': commonJs('module.exports ='),
  'compiled.cjs': commonJs('exports.__esModule = true; exports.default ='),
  'plain/my-ca.ts': `import { defineAdapter, z } from 'certprov';
    export default defineAdapter({ kind: 'old', options: z.strictObject({}), connect: async () => {} });`,
};

describe('adapterLoader, by Node alone', () => {
  let home: Awaited<ReturnType<typeof temporaryDirectory>>;
  let said: Readonly<Record<string, string>>;

  beforeAll(async () => {
    home = await temporaryDirectory();
    for (const name of ['cjs', 'plain']) await mkdir(join(home.path, name));
    await writeFile(join(home.path, 'cjs/package.json'), '{ "type": "commonjs" }');
    await writeFile(join(home.path, 'plain/package.json'), '{}');
    const texts = {
      ...right,
      ...Object.fromEntries(Object.entries(broken).map(([n, [t]]) => [n, t])),
    };
    for (const [name, text] of Object.entries(texts)) await writeFile(join(home.path, name), text);
    const script = `
      import { adapterLoader } from ${JSON.stringify(join(import.meta.dirname, '../../src/plug-in/adapter-loader.ts'))};
      const load = adapterLoader({}, { longestImportMs: 300 });
      const said = {};
      for (const name of ${JSON.stringify(Object.keys(texts))}) {
        const loading = load('./' + name, ${JSON.stringify(home.path)});
        said[name] = await loading.then(({ kind }) => kind, ({ message }) => message);
      }
      console.log(JSON.stringify(said));`;
    const args = ['--input-type=module', '--eval', script];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    said = JSON.parse(stdout);
  });
  afterAll(() => home[Symbol.asyncDispose]());

  it.each(Object.entries(broken))('says why %s cannot be loaded', (name, [, expected]) => {
    expect(said[name]).toContain(`kind ./${name}: ${join(home.path, name)} cannot be loaded: `);
    expect(said[name]).toContain(expected);
    expect(said[name]).not.toMatch(/node:internal|\n/);
  });

  it.each(Object.keys(right))('loads %s', (name) => {
    expect(said[name]).toBe('old');
  });
});
