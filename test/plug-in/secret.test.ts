import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isSecretReference, readSecret, SecretError } from '../../src/plug-in/secret.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'certprov-secret-'));
});

afterEach(() => rm(directory, { recursive: true }));

describe('readSecret', () => {
  it('reads an environment variable', async () => {
    expect(await readSecret({ env: 'A' }, { A: 'x' }, directory)).toBe('x');
    expect(await readSecret({ env: 'A' }, { A: '\uFEFF x \r\n' }, directory)).toBe(' x ');
  });

  it.each([
    ['x\n', 'x'],
    ['x\r\n', 'x'],
    ['x\n\n', 'x'],
    ['\uFEFFx\r\n', 'x'],
    ['kö\n', 'kö'],
    ['  x y ', '  x y '],
  ])(
    'reads a file without byte order mark and final line breaks, and nothing else: %j',
    async (content, secret) => {
      await writeFile(join(directory, 'secret'), content);
      expect(await readSecret({ file: 'secret' }, {}, directory)).toBe(secret);
      expect(await readSecret({ file: join(directory, 'secret') }, {}, '/')).toBe(secret);
    },
  );

  it('says what is missing and what mends it', async () => {
    await writeFile(join(directory, 'empty'), '\n');
    await writeFile(join(directory, 'large'), 'x'.repeat(70_000));
    const read = (reference: { env: string } | { file: string }) =>
      readSecret(reference, { EMPTY: '' }, directory);
    await expect(read({ env: 'NONE' })).rejects.toThrow(/NONE is not set\. Fix: /);
    await expect(read({ env: 'EMPTY' })).rejects.toThrow(SecretError);
    await expect(read({ file: 'none' })).rejects.toThrow(/none cannot be read \(ENOENT\)\. Fix: /);
    await expect(read({ file: '.' })).rejects.toThrow(/EISDIR/);
    await expect(read({ file: 'empty' })).rejects.toThrow(/is empty/);
    await expect(read({ file: 'large' })).rejects.toThrow(/larger than 64 KiB/);
  });

  it.each([
    ['UTF-16', Buffer.from('\uFEFFx\r\n', 'utf16le')],
    ['UTF-16, without a mark', Buffer.from('hunter2', 'utf16le')],
    ['UTF-8', Buffer.from('kö', 'latin1')],
  ])('refuses a file in another encoding: %s', async (words, bytes) => {
    await writeFile(join(directory, 'secret'), bytes);
    const reading = readSecret({ file: 'secret' }, {}, directory);
    await expect(reading).rejects.toThrow(words.slice(0, 6).trim());
    await expect(reading).rejects.toThrow(/Fix: save it in UTF-8/);
    await expect(reading).rejects.not.toThrow(/hunter/);
  });

  it('takes a variable that holds nothing but a line break for not set', async () => {
    await expect(readSecret({ env: 'A' }, { A: '\r\n' }, directory)).rejects.toThrow(/not set/);
  });
});

describe('isSecretReference', () => {
  it.each([{ env: 'A' }, { file: './a' }])('takes %j', (value) => {
    expect(isSecretReference(value)).toBe(true);
  });

  it.each(['text', null, 7, {}, { env: '' }, { env: 'A', file: 'b' }, { env: 1 }])(
    'refuses %j',
    (value) => {
      expect(isSecretReference(value)).toBe(false);
    },
  );
});
