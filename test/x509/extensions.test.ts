import { AsnConvert } from '@peculiar/asn1-schema';
import {
  ExtendedKeyUsage,
  Extensions,
  GeneralName,
  KeyUsage as PeculiarKeyUsage,
  SubjectAlternativeName,
} from '@peculiar/asn1-x509';
import { describe, expect, it } from 'vitest';
import type { SubjectAltName } from '../../src/x509/alt-name-form.ts';
import { DerError } from '../../src/x509/der.ts';
import {
  type AnyKeyUsage,
  decodeExtendedKeyUsage,
  decodeExtensions,
  decodeKeyUsage,
  decodeSubjectAltName,
  decodeTemplateName,
  encodeExtensions,
  extendedKeyUsageExtension,
  keyUsageExtension,
  subjectAltNameExtension,
  templateNameExtension,
} from '../../src/x509/extensions.ts';

const hex = (data: Uint8Array) => Buffer.from(data).toString('hex');
const bytes = (text: string) => Buffer.from(text, 'hex');

describe('subject alternative names', () => {
  const names: SubjectAltName[] = [
    { type: 'dns', value: 'a.example' },
    { type: 'email', value: 'a@example.com' },
    { type: 'upn', value: 'ä@example.com' },
    { type: 'uri', value: 'tag:x,2020:y' },
  ];

  it('are encoded so that another library reads them', () => {
    const { value } = subjectAltNameExtension(names, false);
    const [dns, email, upn, uri] = AsnConvert.parse(value, SubjectAlternativeName);
    expect(dns?.dNSName).toBe('a.example');
    expect(email?.rfc822Name).toBe('a@example.com');
    expect(upn?.otherName?.typeId).toBe('1.3.6.1.4.1.311.20.2.3');
    expect(hex(new Uint8Array(upn?.otherName?.value ?? new ArrayBuffer()))).toBe(
      '0c0ec3a4406578616d706c652e636f6d',
    );
    expect(uri?.uniformResourceIdentifier).toBe('tag:x,2020:y');
  });

  it('come back as they were', () => {
    expect(decodeSubjectAltName(subjectAltNameExtension(names, true).value)).toEqual(names);
  });

  it('of other kinds are found and described', () => {
    const value = AsnConvert.serialize(
      new SubjectAlternativeName([
        new GeneralName({ iPAddress: '10.0.0.1' }),
        new GeneralName({ registeredID: '1.2.3' }),
      ]),
    );
    expect(decodeSubjectAltName(new Uint8Array(value))).toEqual([
      { type: 'other', value: 'IP address 0a000001' },
      { type: 'other', value: 'general name 88022a03' },
    ]);
  });

  it('refuses to encode what IA5String cannot hold', () => {
    expect(() => subjectAltNameExtension([{ type: 'dns', value: 'ä' }], false)).toThrow(DerError);
    expect(() => subjectAltNameExtension([{ type: 'email', value: '' }], false)).toThrow(DerError);
  });

  it.each(['3003820561', '0400', '30028000ff'])('refuses broken %s', (text) => {
    expect(() => decodeSubjectAltName(bytes(text))).toThrow(DerError);
  });
});

describe('key usages', () => {
  it.each<[AnyKeyUsage[], string]>([
    [['digitalSignature'], '03020780'],
    [['digitalSignature', 'keyEncipherment'], '030205a0'],
    [['keyAgreement'], '03020308'],
    [['keyCertSign', 'cRLSign'], '03020106'],
    [['decipherOnly'], '0303070080'],
  ])('%j is %s', (usages, expected) => {
    const { value, critical } = keyUsageExtension(usages);
    expect(hex(value)).toBe(expected);
    expect(critical).toBe(true);
    expect(AsnConvert.parse(value, PeculiarKeyUsage).toJSON()).toHaveLength(usages.length);
    expect(decodeKeyUsage(value)).toEqual(usages);
  });

  it.each(['0300', '030100', '030208ff', '030400000000', '030205a4'])('refuses %s', (text) => {
    expect(() => decodeKeyUsage(bytes(text))).toThrow(DerError);
  });
});

it('encodes extended key usages so that another library reads them', () => {
  const oids = ['1.3.6.1.5.5.7.3.2', '1.3.6.1.4.1.311.20.2.2'];
  const { value } = extendedKeyUsageExtension(oids);
  expect([...AsnConvert.parse(value, ExtendedKeyUsage)]).toEqual(oids);
  expect(decodeExtendedKeyUsage(value)).toEqual(oids);
  expect(() => decodeExtendedKeyUsage(bytes('3000'))).toThrow(DerError);
});

it('writes a template’s name as Windows does', () => {
  const { value, critical } = templateNameExtension('WiFi');
  expect(hex(value)).toBe('1e080057006900460069');
  expect(critical).toBe(false);
  expect(decodeTemplateName(value)).toBe('WiFi');
});

describe('lists of extensions', () => {
  it('come back as they were, and as another library reads them', () => {
    const list = [keyUsageExtension(['digitalSignature']), templateNameExtension('T')];
    const encoded = encodeExtensions(list);
    expect(decodeExtensions(encoded)).toEqual(list);
    const parsed = AsnConvert.parse(encoded, Extensions);
    expect(parsed.map(({ extnID, critical }) => [extnID, critical])).toEqual([
      ['2.5.29.15', true],
      ['1.3.6.1.4.1.311.20.2', false],
    ]);
  });

  it('may say FALSE aloud, as some CAs do', () => {
    expect(decodeExtensions(bytes('300a3008060155 0101000400'.replaceAll(' ', '')))).toMatchObject([
      { critical: false },
    ]);
  });

  it('may not have one twice', () => {
    const one = templateNameExtension('T');
    expect(() => decodeExtensions(encodeExtensions([one, one]))).toThrow('twice');
  });
});
