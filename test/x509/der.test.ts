import { describe, expect, it } from 'vitest';
import {
  contextTag,
  DerError,
  DerReader,
  readBitString,
  readBoolean,
  readOid,
  readSingle,
  readSmallInteger,
  readTime,
  readUnsigned,
  tag,
} from '../../src/x509/der.ts';
import { readText } from '../../src/x509/der-text.ts';
import {
  encode,
  encodeOid,
  encodeSetOf,
  encodeText,
  encodeUnsigned,
  isOid,
} from '../../src/x509/encode-der.ts';

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
const hex = (data: Uint8Array) => Buffer.from(data).toString('hex');
const element = (text: string) => {
  const data = bytes(text);
  return readSingle(data, data[0] ?? 0, 'The value');
};

describe('lengths', () => {
  it.each([
    [0, '00'],
    [127, '7f'],
    [128, '8180'],
    [255, '81ff'],
    [256, '820100'],
    [65_536, '83010000'],
  ])('encodes %i bytes in the shortest form and reads it back', (length, expected) => {
    const encoded = encode(tag.octetString, new Uint8Array(length));
    expect(hex(encoded.subarray(1, 1 + expected.length / 2))).toBe(expected);
    expect(readSingle(encoded, tag.octetString, 'It').content).toHaveLength(length);
  });

  it.each([
    ['nothing', ''],
    ['a lone tag', '04'],
    ['content that is cut off', '04 03 0102'],
    ['a length that is cut off', '04 82 01'],
    ['an indefinite length', '30 80 0000'],
    ['a long form for a short length', '04 81 01 00'],
    ['a zero in front of the length', `04 82 00 80 ${'00'.repeat(128)}`],
    ['a length of five bytes', '04 85 0000000001 00'],
    ['a length beyond the input', '04 84 ffffffff'],
    ['a tag of several bytes', '1f 81 00 00'],
    ['bytes behind the end', '04 01 00 00'],
  ])('refuses %s', (_, text) => {
    expect(() => element(text)).toThrow(DerError);
  });
});

describe('a reader', () => {
  it('names the structure, the tags and the place in its errors', () => {
    const reader = new DerReader(bytes('04 00 02 01 05'), 'The request');
    reader.next(tag.octetString);
    expect(() => reader.next(tag.sequence)).toThrow(
      'The request has tag 0x02 where 0x30 belongs (at byte 2)',
    );
    expect(() => reader.finish()).toThrow('The request has 3 bytes after its end (at byte 2)');
  });

  it('takes an optional element only when its tag is next', () => {
    const reader = new DerReader(bytes('a0 00 05 00'), 'It');
    expect(reader.optional(contextTag(1, 'constructed'))).toBeUndefined();
    expect(reader.optional(contextTag(0, 'constructed'))).toBeDefined();
    expect(reader.peek()).toBe(tag.null);
  });

  it('gives plain byte arrays for a Buffer', () => {
    const read = readSingle(Buffer.from('0401ff', 'hex'), tag.octetString, 'It');
    expect(Buffer.isBuffer(read.content)).toBe(false);
  });
});

describe('object identifiers', () => {
  it.each([
    ['2.5.4.3', '0603550403'],
    ['1.2.840.113549.1.1.11', '06092a864886f70d01010b'],
    ['1.3.6.1.4.1.311.20.2.3', '060a2b060104018237140203'],
    ['2.999.3', '0603883703'],
    [
      '2.25.329800735698586629295641978511506172918',
      '0614698 3f09d a7eb cf de e0c7 a1a7 b2c0 948c c8f9 d776'.replaceAll(' ', ''),
    ],
    ['0.39', '060127'],
  ])('%s', (dotted, expected) => {
    expect(hex(encodeOid(dotted))).toBe(expected);
    expect(readOid(element(expected))).toBe(dotted);
  });

  it.each(['', '1', '3.1', '1.40', '1.2.', '1.02', '1.2.x', `1.2${'.1'.repeat(100)}`])(
    'refuses the text %j',
    (text) => {
      expect(isOid(text)).toBe(false);
      expect(() => encodeOid(text)).toThrow(DerError);
    },
  );

  it.each(['0600', '06022a86', '06032a8001'])('refuses the bytes %s', (text) => {
    expect(() => readOid(element(text))).toThrow(DerError);
  });
});

describe('numbers', () => {
  it.each([
    ['00', '020100'],
    ['7f', '02017f'],
    ['80', '02020080'],
    ['0000ff01', '020300ff01'],
  ])('encodes %s without surplus zeros', (number, expected) => {
    expect(hex(encodeUnsigned(bytes(number)))).toBe(expected);
  });

  it('reads them back without the sign byte', () => {
    expect(hex(readUnsigned(element('02020080')))).toBe('80');
    expect(readSmallInteger(element('02020100'))).toBe(256);
  });

  it.each(['0200', '020180', '02020001', '0202ff80', '02050100000000'])('refuses %s', (text) => {
    expect(() => readSmallInteger(element(text))).toThrow(DerError);
  });

  it('knows two booleans', () => {
    expect(readBoolean(element('0101ff'))).toBe(true);
    expect(readBoolean(element('010100'))).toBe(false);
    expect(() => readBoolean(element('010101'))).toThrow(DerError);
    expect(() => readBoolean(element('0102ffff'))).toThrow(DerError);
  });

  it('refuses bit strings with unused bits and empty ones', () => {
    expect(hex(readBitString(element('030200ff')))).toBe('ff');
    expect(() => readBitString(element('030204f0'))).toThrow(DerError);
    expect(() => readBitString(element('0300'))).toThrow(DerError);
  });
});

describe('times', () => {
  const time = (timeTag: number, text: string) => readTime(element(hex(encodeText(timeTag, text))));

  it.each([
    [tag.utcTime, '491231235959Z', '2049-12-31T23:59:59.000Z'],
    [tag.utcTime, '500101000000Z', '1950-01-01T00:00:00.000Z'],
    [tag.generalizedTime, '99991231235959Z', '9999-12-31T23:59:59.000Z'],
    [tag.generalizedTime, '20240229120000Z', '2024-02-29T12:00:00.000Z'],
  ])('reads tag %i, %s', (timeTag, text, expected) => {
    expect(new Date(time(timeTag, text)).toISOString()).toBe(expected);
  });

  it.each([
    [tag.utcTime, '2401010000Z'],
    [tag.utcTime, '240101000000+0100'],
    [tag.utcTime, '20240101000000Z'],
    [tag.generalizedTime, '20240101000000.5Z'],
    [tag.generalizedTime, '20230229000000Z'],
    [tag.generalizedTime, '20240101250000Z'],
    [tag.generalizedTime, '20240101000060Z'],
    [tag.utf8String, '20240101000000Z'],
  ])('refuses tag %i, %s', (timeTag, text) => {
    expect(() => time(timeTag, text)).toThrow(DerError);
  });
});

describe('texts', () => {
  it.each([
    [tag.utf8String, '0c04f09f9880', '😀'],
    [tag.printableString, '13024142', 'AB'],
    [tag.teletexString, '1401e4', 'ä'],
    [tag.bmpString, '1e0400e42713', 'ä✓'],
    [tag.universalString, '1c040001f600', '😀'],
  ])('reads tag %i', (_, text, expected) => {
    expect(readText(element(text))).toBe(expected);
  });

  it('has no text for what is no string', () => {
    expect(readText(element('0201 05'))).toBeUndefined();
  });

  it.each(['0c02c328', '1e0100', '1e02d800', '1c03000000', '1c0400110000'])(
    'refuses broken %s',
    (text) => {
      expect(() => readText(element(text))).toThrow(DerError);
    },
  );

  it('writes BMPString in UTF-16, most significant byte first', () => {
    expect(hex(encodeText(tag.bmpString, 'Aä'))).toBe('1e04004100e4');
  });
});

it('orders a set by its encodings', () => {
  const set = encodeSetOf([bytes('040102'), bytes('0201 05'), bytes('040101')]);
  expect(hex(set)).toBe('3109020105040101040102');
});
