import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { adapters } from '../../adapters/index.ts';
import { AdapterLoadError, adapterLoader } from '../../src/issue/adapter-loader.ts';
import { temporaryDirectory } from '../adapters/temporary-directory.ts';

const load = adapterLoader(adapters);
const contract = pathToFileURL(
  join(import.meta.dirname, '../../src/issue/certificate-authority.ts'),
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

  it('says why a file cannot be loaded', async () => {
    await write('broken.ts', `throw new Error('out of order');`);
    expect(await problem('./broken.ts')).toContain('out of order');
  });

  it('says what a package without a main module lacks', async () => {
    await write('node_modules/odd/package.json', JSON.stringify({ exports: { './x': './x.js' } }));
    expect(await problem('odd')).toContain('"exports"');
  });

  it.each([
    ['no default export', 'export const kind = 1;', 'no default export'],
    ['no kind', `export default { options: { safeParse() {} }, connect() {} }`, 'kind'],
    ['no schema', `export default { kind: 'x', options: {}, connect() {} }`, 'options'],
    ['no connect', `export default { kind: 'x', options: { safeParse() {} } }`, 'connect'],
  ])('says what a module with %s lacks', async (_what, text, lack) => {
    await write('odd.mjs', text);
    expect(await problem('./odd.mjs')).toContain(lack);
  });
});
