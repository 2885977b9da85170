import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { stringify } from 'yaml';
import { parseConfigDocument, pathText } from '../../src/config/explain/document.ts';

function at(text: string, path: readonly (string | number)[]) {
  const { line, column } = parseConfigDocument(text, 'c.yaml').problem(path, 'm', 'f');
  return [line, column];
}

describe('parseConfigDocument', () => {
  const text = 'a:\n  b:\n    - x\n    - { c: 1 }\nd: &anchor { e: 1 }\nf: *anchor\n';

  it.each([
    [['a'], [1, 1]],
    [
      ['a', 'b'],
      [2, 3],
    ],
    [
      ['a', 'b', 1],
      [4, 7],
    ],
    [
      ['a', 'b', 1, 'c'],
      [4, 9],
    ],
    [
      ['d', 'e'],
      [5, 14],
    ],
  ])('finds the line and column of %j', (path, place) => {
    expect(at(text, path)).toEqual(place);
  });

  it('names the first mistakes of a file that is nothing but brackets', () => {
    const { problems } = parseConfigDocument(']\n'.repeat(5_000), 'c.yaml');
    expect(problems.map(({ line }) => line)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
  });

  it('is not kept busy by maps that are keys of maps that are keys', () => {
    // Each level used to double the text of its key: forty would have been more than there is memory.
    const levels = 40;
    const text = `authorities: ${'{'.repeat(levels)}a: 1${'}: 1'.repeat(levels - 1)}}\nprofiles: { p: 1 }\n`;
    const { data, problems } = parseConfigDocument(text, 'c.yaml');
    expect(problems).toHaveLength(levels - 1);
    expect(problems[0]).toMatchObject({ line: 1, path: 'authorities["?"]' });
    expect(data).toEqual({ authorities: {}, profiles: { p: 1 } });
  });

  it('names each key that stands twice, also among very many', () => {
    const many = Array.from({ length: 20_000 }, (_, at) => `  p${at}: 1\n`).join('');
    const { problems } = parseConfigDocument(`profiles:\n${many}  p7: 2\n`, 'config.yaml');
    expect(problems).toMatchObject([
      { line: 20_002, message: 'the key "p7" stands twice in the same place' },
    ]);
  });

  it('gives the nearest parent’s place for what is missing, and the anchor’s through an alias', () => {
    expect(at(text, ['a', 'z', 'y'])).toEqual([1, 1]);
    expect(at(text, ['none'])).toEqual([1, 1]);
    expect(at(text, ['f', 'e'])).toEqual([5, 14]);
  });

  it('counts a key with nothing after it as not written', () => {
    expect(parseConfigDocument('a:\nb: { c: ~, d: [~] }\n', 'c').data).toEqual({
      b: { d: [null] },
    });
  });

  it('takes no key __proto__, and says so', () => {
    const { data, problems } = parseConfigDocument('a: 1\n__proto__: { polluted: yes }\n', 'c');
    expect(problems).toEqual([expect.objectContaining({ line: 2, path: '__proto__' })]);
    expect(Object.keys(data as object)).toEqual(['a']);
    expect(Reflect.get({}, 'polluted')).toBeUndefined();
  });

  it('leaves the parser no way to quote the text on stderr', () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const { problems } = parseConfigDocument('{ password: TOPSECRET }: x\n', 'c.yaml');
    expect(problems.map(({ line }) => line)).toEqual([1]);
    expect(warned).not.toHaveBeenCalled();
    warned.mockRestore();
  });

  it('never throws, and never quotes the text in what YAML found wrong', () => {
    const pieces = fc.constantFrom(
      'a',
      ':',
      ' ',
      '\n',
      '-',
      '[',
      '{',
      '"',
      "'",
      '&',
      '*',
      '!',
      '|',
    );
    const secret = 'TOPSECRET';
    const texts = fc.array(fc.oneof(pieces, fc.constant(secret), fc.string()), { maxLength: 30 });
    fc.assert(
      fc.property(texts, (parts) => {
        const document = parseConfigDocument(parts.join(''), 'c.yaml');
        for (const { line, column, message } of document.problems) {
          expect(Math.min(line, column)).toBeGreaterThanOrEqual(1);
          // A duplicate or unresolved name is the one thing that has to be named.
          if (!/stands twice/.test(message)) expect(message).not.toContain(secret);
        }
      }),
    );
  });

  it('finds a place for every path of every document', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), fc.array(fc.string()), (value, path) => {
        const document = parseConfigDocument(stringify(value), 'c.yaml');
        expect(document.problem(path, 'm', 'f').line).toBeGreaterThanOrEqual(1);
      }),
    );
  });
});

describe('pathText', () => {
  it.each([
    [[], ''],
    [['a', 'b-c', 'd_e'], 'a.b-c.d_e'],
    [['a', 0, 'b'], 'a[0].b'],
    [['profiles', 'Wi-Fi 5 GHz', 'subject'], 'profiles["Wi-Fi 5 GHz"].subject'],
  ])('writes %j as %s', (path, text) => {
    expect(pathText(path)).toBe(text);
  });
});
