import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BerElement, readBer } from '../../src/x509/ber.ts';
import { DerError, DerReader } from '../../src/x509/der.ts';
import { encode } from '../../src/x509/encode-der.ts';

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
const hex = (of: Uint8Array) => Buffer.from(of).toString('hex');

/** A DER value: primitive ones, and constructed ones of a few more. */
const der = fc.letrec<{ value: Uint8Array }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc
      .tuple(fc.constantFrom(0x02, 0x04, 0x80), fc.uint8Array({ minLength: 1, maxLength: 300 }))
      .map(([tag, content]) => encode(tag, content)),
    fc
      .tuple(fc.constantFrom(0x30, 0x31, 0xa0), fc.array(tie('value'), { maxLength: 3 }))
      .map(([tag, parts]) => encode(tag, ...parts)),
  ),
})).value;

/** The tree that our own reader of DER sees. */
function ownTree(value: Uint8Array): unknown {
  const { tag, bytes: whole, content } = new DerReader(value, 'It').next();
  if ((tag & 0x20) === 0) return { tag, whole: hex(whole), content: hex(content) };
  const list = new DerReader(content, 'It');
  const parts: unknown[] = [];
  while (!list.done) parts.push(ownTree(list.next().bytes));
  return { tag, whole: hex(whole), parts };
}

function berTree(element: BerElement): unknown {
  const { tag, bytes: whole } = element;
  if ((tag & 0x20) === 0) return { tag, whole: hex(whole), content: hex(element.octets) };
  return { tag, whole: hex(whole), parts: element.parts.map(berTree) };
}

describe('BER', () => {
  it('is read as our own reader reads it, where it is DER', () => {
    fc.assert(
      fc.property(der, (value) => {
        expect(berTree(readBer(value, 'It'))).toEqual(ownTree(value));
      }),
    );
  });

  it.each([
    ['lengths that are not given', '30 80 02 01 05 30 80 00 00 00 00', ['020105', '30800000']],
    ['lengths in a long form', '30 82 00 03 02 01 05', ['020105']],
    ['an empty list', '30 00', []],
  ])('has the parts of %s as they were written', (_what, ber, parts) => {
    expect(readBer(bytes(ber), 'It').parts.map((part) => hex(part.bytes))).toEqual(parts);
  });

  it.each([
    ['a string', '04 02 aa bb', 'aabb'],
    ['a string in pieces', '24 06 04 01 aa 04 01 bb', 'aabb'],
    ['pieces in pieces, without lengths', '24 80 24 80 04 01 aa 00 00 04 02 bb cc 00 00', 'aabbcc'],
    ['an implicit tag', '80 02 aa bb', 'aabb'],
    ['an implicit tag in pieces', 'a0 80 04 01 aa 04 01 bb 00 00', 'aabb'],
    ['a string that holds a value', '04 03 02 01 05', '020105'],
    [
      'a string that holds one too deep to be read',
      `04 50 ${'30 80 '.repeat(40)}`,
      '3080'.repeat(40),
    ],
  ])('has the octets of %s', (_what, ber, octets) => {
    expect(hex(readBer(bytes(ber), 'It').octets)).toBe(octets);
  });

  it.each([
    ['nothing', ''],
    ['a cut-off length', '30 82 01'],
    ['a cut-off value', '30 05 02 01'],
    ['a value that outgrows the one around it', '30 03 02 05 01 02 03 04 05'],
    ['one that does, deep inside', '30 80 30 03 02 05 01 02 03 04 05 00 00'],
    ['no end of contents', '30 80 02 01 05'],
    ['a primitive value without a length', '04 80 01 00 00'],
    ['an enormous length', '30 84 ff ff ff ff 00'],
    ['a length that no computer has', '30 89 01 00 00 00 00 00 00 00 00 00'],
    ['more after the end', '30 00 00'],
    ['endless nesting', '30 80 '.repeat(100_000)],
    ['too many elements', `30 80 ${'05 00 '.repeat(30_000)} 00 00`],
    ['more than a message has', `04 83 04 00 01 ${'00 '.repeat(0x40001)}`],
  ])('refuses %s', (_what, ber) => {
    expect(() => readBer(bytes(ber), 'It')).toThrow(DerError);
  });

  it('refuses a string with a piece of another type, and a list that is none', () => {
    expect(() => readBer(bytes('24 03 02 01 05'), 'It').octets).toThrow(DerError);
    expect(() => readBer(bytes('02 01 05'), 'It').parts).toThrow(DerError);
  });

  it('never throws anything else', () => {
    const any = fc.uint8Array({ maxLength: 200 });
    fc.assert(
      fc.property(any, (value) => {
        try {
          berTree(readBer(value, 'It'));
        } catch (error) {
          expect(error).toBeInstanceOf(DerError);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
