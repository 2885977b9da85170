import { AsnConvert } from '@peculiar/asn1-schema';
import { Name } from '@peculiar/asn1-x509';
import { describe, expect, it } from 'vitest';
import { tag } from '../../src/x509/der.ts';
import type { DistinguishedName } from '../../src/x509/distinguished-name.ts';
import {
  decodeName,
  encodeName,
  formatName,
  NameError,
  parseName,
  sameName,
} from '../../src/x509/distinguished-name.ts';
import { encode, encodeOid, encodeSetOf, encodeText } from '../../src/x509/encode-der.ts';

const cn = (value: string): DistinguishedName => [[{ type: '2.5.4.3', value }]];

describe('parseName', () => {
  it('reverses RFC 4514’s order into the order of encoding', () => {
    expect(parseName('CN=device,OU=a,OU=b,O=Example,C=DE')).toEqual([
      [{ type: '2.5.4.6', value: 'DE' }],
      [{ type: '2.5.4.10', value: 'Example' }],
      [{ type: '2.5.4.11', value: 'b' }],
      [{ type: '2.5.4.11', value: 'a' }],
      [{ type: '2.5.4.3', value: 'device' }],
    ]);
  });

  it.each([
    ['', []],
    ['  ', []],
    ['cn = a b , o = c', parseName('CN=a b,O=c')],
    ['CN=a\\, b', cn('a, b')],
    ['CN=\\#1\\ ', cn('#1 ')],
    ['CN=\\ a\\\\', cn(' a\\')],
    ['CN=a=b', cn('a=b')],
    ['CN=K\\C3\\A4se\\2C', cn('Käse,')],
    ['CN=#0c026869', cn('hi')],
    ['2.5.4.3=x', cn('x')],
    ['commonName=x', cn('x')],
    ['CN=${DEVICE_SERIAL_NUMBER:USER_EMAIL}', cn('${DEVICE_SERIAL_NUMBER:USER_EMAIL}')],
    [
      'UID=u+CN=x',
      [
        [
          { type: '0.9.2342.19200300.100.1.1', value: 'u' },
          { type: '2.5.4.3', value: 'x' },
        ],
      ],
    ],
  ])('reads %j', (text, expected) => {
    expect(parseName(text)).toEqual(expected);
  });

  it.each([
    ['device', 'position 1'],
    ['CN=', 'has no value'],
    ['CN=   ', 'has no value'],
    ['CN=a,', 'position 6'],
    ['CN=a,,O=b', 'position 6'],
    ['CN=a;O=b', 'position 5 needs a \\'],
    ['CN="a"', 'needs a \\'],
    ['CN=a\\', 'escapes nothing'],
    ['CN=a\\q', 'escapes nothing'],
    ['CN=\\FF', 'cannot be read'],
    ['CN=#12', 'cannot be read'],
    ['CN=#xyz', 'hexadecimal'],
    ['CN=#020105', 'not a text'],
    ['Onn=a', 'Is CN meant?'],
    ['flavour=a', 'object identifier'],
    [`CN=${'a'.repeat(9000)}`, 'longer'],
    [Array.from({ length: 65 }, () => 'OU=a').join(','), 'over 64 parts'],
  ])('refuses %j', (text, message) => {
    expect(() => parseName(text)).toThrow(NameError);
    expect(() => parseName(text)).toThrow(message);
  });
});

describe('formatName', () => {
  it.each([
    'CN=device,O=Example,C=DE',
    'CN=a\\,b\\+c\\"d\\\\e\\<f\\>g\\;h',
    'CN=\\ a\\ ',
    'CN=\\ ',
    'CN=a\\\\\\ ',
    'CN=\\#a#',
    'CN=a\\0Ab',
    'UID=u+CN=x',
    '1.2.3.4=x',
    '',
  ])('writes %j as it was read', (text) => {
    expect(formatName(parseName(text))).toBe(text);
  });
});

describe('encodeName', () => {
  it('uses the string types that RFC 5280 asks for', () => {
    const name = parseName('emailAddress=a@b.c,serialNumber=X1,CN=Käse,DC=example,C=DE');
    const [c, dc, common, serial, email] = AsnConvert.parse(encodeName(name), Name);
    expect(c?.[0]?.value.printableString).toBe('DE');
    expect(dc?.[0]?.value.ia5String).toBe('example');
    expect(common?.[0]?.value.utf8String).toBe('Käse');
    expect(serial?.[0]?.value.printableString).toBe('X1');
    expect(email?.[0]?.value.ia5String).toBe('a@b.c');
  });

  it('sorts the attributes of one part', () => {
    const one = encodeName(parseName('UID=u+CN=x'));
    expect(one).toEqual(encodeName(parseName('CN=x+UID=u')));
  });

  it.each([
    [parseName(`CN=${'a'.repeat(65)}`), 'CN has 65 characters; 64 are allowed.'],
    [parseName(`O=${'a'.repeat(65)}`), '64 are allowed'],
    [parseName(`L=${'a'.repeat(129)}`), '128 are allowed'],
    [parseName('C=Germany'), 'C has 7 characters'],
    [parseName('C=D'), 'two letters'],
    [parseName('C=12'), 'two letters'],
    [parseName('serialNumber=a_b'), 'PrintableString'],
    [parseName('emailAddress=ä@b.c'), 'outside ASCII'],
    [cn(''), 'CN is empty'],
    [cn('  '), 'CN is empty'],
    [cn('a\0b'), 'control character'],
    [cn('\ud800'), 'not a Unicode text'],
    [[[]], 'empty part'],
    [parseName('CN=a+CN=b'), 'twice'],
    [[[{ type: 'CN', value: 'a' }]], 'object identifier'],
  ])('refuses what breaks the bounds (%#)', (name, message) => {
    expect(() => encodeName(name)).toThrow(message);
  });

  it('counts characters, not UTF-16 units', () => {
    expect(() => encodeName(cn('😀'.repeat(64)))).not.toThrow();
    expect(() => encodeName(cn('😀'.repeat(65)))).toThrow('65 characters');
  });
});

describe('decodeName', () => {
  const oneAttribute = (value: Uint8Array) =>
    encode(tag.sequence, encodeSetOf([encode(tag.sequence, encodeOid('2.5.4.3'), value)]));

  it('reads every string type', () => {
    expect(decodeName(oneAttribute(encodeText(tag.bmpString, 'ä')))).toEqual(cn('ä'));
    expect(decodeName(oneAttribute(encodeText(tag.printableString, 'a')))).toEqual(cn('a'));
  });

  it('shows what is no string in hexadecimal', () => {
    expect(decodeName(oneAttribute(encode(tag.null)))).toEqual(cn('#0500'));
  });

  it('refuses an empty part and bytes behind the name', () => {
    expect(() => decodeName(encode(tag.sequence, encode(tag.set)))).toThrow('ends too early');
    expect(() => decodeName(Buffer.from('300000', 'hex'))).toThrow('after its end');
  });
});

describe('sameName', () => {
  it.each([
    ['CN=Device,O=Example', 'cn=device,O=EXAMPLE', true],
    ['CN=a  b', 'CN=a b', true],
    ['UID=u+CN=x', 'CN=x+UID=u', true],
    ['CN=a,O=b', 'O=b,CN=a', false],
    ['CN=a', 'CN=ab', false],
    ['CN=a', 'OU=a', false],
    ['CN=a,O=b', 'CN=a', false],
    ['CN=a\\00b', 'CN=a', false],
    ['CN=ａ', 'CN=a', false],
    ['CN=e\u0301', 'CN=é', true],
    ['', '', true],
  ])('%j and %j: %j', (a, b, expected) => {
    expect(sameName(parseName(a), parseName(b))).toBe(expected);
  });
});
