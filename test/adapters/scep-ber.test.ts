import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { berToDer } from '../../adapters/scep/ber.ts';
import { DerError } from '../../src/x509/der.ts';
import { encode } from '../../src/x509/encode-der.ts';

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

/** A DER value: primitive ones, and constructed ones of a few more. */
const der = fc.letrec<{ value: Uint8Array }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc
      .tuple(fc.constantFrom(0x02, 0x04, 0x06, 0x0c, 0x80), fc.uint8Array({ maxLength: 300 }))
      .map(([tag, content]) => encode(tag, content)),
    fc
      .tuple(fc.constantFrom(0x30, 0x31, 0xa0), fc.array(tie('value'), { maxLength: 3 }))
      .map(([tag, parts]) => encode(tag, ...parts)),
  ),
})).value;

describe('BER as DER', () => {
  it('leaves DER as it is', () => {
    fc.assert(
      fc.property(der, (value) => {
        expect(berToDer(value)).toEqual(value);
      }),
    );
  });

  it.each([
    ['lengths that are not given', '30 80 02 01 05 30 80 00 00 00 00', '30 05 02 01 05 30 00'],
    ['lengths in a long form', '30 82 00 03 02 01 05', '30 03 02 01 05'],
    ['strings in pieces', '24 06 04 01 aa 04 01 bb', '04 02 aa bb'],
    [
      'pieces in pieces, without lengths',
      '24 80 24 80 04 01 aa 00 00 04 02 bb cc 00 00',
      '04 03 aa bb cc',
    ],
  ])('rewrites %s', (_what, ber, expected) => {
    expect(berToDer(bytes(ber))).toEqual(bytes(expected));
  });

  it.each([
    ['nothing', ''],
    ['a cut-off length', '30 82 01'],
    ['a cut-off value', '30 05 02 01'],
    ['a value that outgrows the one around it', '30 03 02 05 01 02 03 04 05'],
    ['no end of contents', '30 80 02 01 05'],
    ['a primitive value without a length', '04 80 01 00 00'],
    ['a tag of several bytes', '1f 81 01 00'],
    ['an enormous length', '30 85 01 00 00 00 00'],
    ['more after the end', '30 00 00'],
    ['a string with a piece of another type', '24 03 02 01 05'],
    ['endless nesting', '30 80 '.repeat(100_000)],
  ])('refuses %s', (_what, ber) => {
    expect(() => berToDer(bytes(ber))).toThrow(DerError);
  });

  it('never throws anything else', () => {
    const any = fc.uint8Array({ maxLength: 200 });
    fc.assert(
      fc.property(any, (value) => {
        try {
          berToDer(value);
        } catch (error) {
          expect(error).toBeInstanceOf(DerError);
        }
      }),
    );
  });
});
