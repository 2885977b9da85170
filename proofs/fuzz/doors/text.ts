import fc from 'fast-check';
import { ProvisioningError } from '../../../src/errors.ts';
import { checkTemplate, wantedFromProfile } from '../../../src/profile/profile.ts';
import { scrub } from '../../../src/words/scrub.ts';
import { contextTag, tag } from '../../../src/x509/der.ts';
import {
  decodeName,
  encodeName,
  formatName,
  NameError,
  parseName,
  sameName,
} from '../../../src/x509/distinguished-name.ts';
import { encode, encodeOid } from '../../../src/x509/encode-der.ts';
import { decodePem, encodePem, PemError, readCertificates } from '../../../src/x509/pem.ts';
import { anyCharacter, bytesOf, type Door, demand, textOf } from '../door.ts';
import { seeds } from '../seeds.ts';

const anyText = fc.oneof(fc.string({ unit: anyCharacter, maxLength: 300 }), fc.string());
const pemText = `${encodePem('CERTIFICATE', seeds.ec.certificate)}${encodePem('CERTIFICATE', seeds.issuing)}`;

/** ContentInfo of SignedData with nothing but certificates (RFC 5652 5.1). */
const bag = encode(
  tag.sequence,
  encodeOid('1.2.840.113549.1.7.2'),
  encode(
    contextTag(0, 'constructed'),
    encode(
      tag.sequence,
      encode(tag.integer, Uint8Array.of(1)),
      encode(tag.set),
      encode(tag.sequence, encodeOid('1.2.840.113549.1.7.1')),
      encode(contextTag(0, 'constructed'), seeds.ec.certificate, seeds.issuing),
      encode(tag.set),
    ),
  ),
);

/** PEM of a CA or of an administrator's file. */
export const pem: Door = {
  name: 'pem',
  form: 'text',
  seeds: [
    bytesOf(pemText),
    bytesOf(`Bag Attributes\n  x: y\r\n${pemText}`),
    seeds.ec.certificate,
    bag,
    bytesOf(encodePem('PKCS7', bag)),
  ],
  dictionary: [
    '-----BEGIN CERTIFICATE-----\n',
    '-----END CERTIFICATE-----\n',
    '-----BEGIN PRIVATE KEY-----\n',
    'Proc-Type: 4,ENCRYPTED\n',
    '\r\n',
    '====',
    '-----',
  ],
  generated: anyText.map(bytesOf),
  enter(input) {
    for (const { label, der } of decodePem(textOf(input))) {
      const [again] = decodePem(encodePem(label, der));
      demand(again?.label === label, `the label ${label} changes`);
      demand(Buffer.compare(again?.der ?? new Uint8Array(), der) === 0, 'the bytes change');
    }
    return `${readCertificates(input).length} certificates`;
  },
  isRefusal: (error) => error instanceof PemError,
};

/** Names as administrators write them. */
export const name: Door = {
  name: 'name',
  form: 'text',
  seeds: [
    'CN=a,O=b',
    'CN=Zoë\\, Inc.+SERIALNUMBER=1,DC=example,DC=com',
    '2.5.4.3=#0c0161,C=CH',
    ' cn = "a,b" , o = \\C3\\A4 ',
  ].map(bytesOf),
  dictionary: ['CN=', ',', '+', '\\', '\\,', '#0c0141', '"', '1.2.3.4=', '\\00', '${X}', 'C=', ';'],
  generated: anyText.map(bytesOf),
  enter(input) {
    const text = textOf(input);
    const name = parseName(text);
    const formatted = formatName(name);
    demand(sameName(parseName(formatted), name), `${formatted} reads as another name`);
    const again = decodeName(encodeName(name));
    demand(sameName(again, name), `${formatted} is encoded as ${formatName(again)}`);
    return `${name.length} parts`;
  },
  isRefusal: (error) => error instanceof NameError,
};

const nul = '\u0000';

/** A profile's template and the values of Google's record, parted by NUL. */
export const template: Door = {
  name: 'template',
  form: 'text',
  seeds: [
    ['CN=${USER_EMAIL},O=Example', 'user@example.com', 'SIM1', 'a-b'],
    ['CN=${USER_EMAIL_NAME}+OU=${DEVICE_SERIAL_NUMBER:DEVICE_DIRECTORY_ID}', 'a,O=b@c', '', 'x+y'],
    ['CN=${USER_EMAIL_DOMAIN}', '#@"', '\\', ';'],
  ].map((parts) => bytesOf(parts.join(nul))),
  dictionary: [
    '${',
    '}',
    ':',
    'USER_EMAIL',
    'DEVICE_SERIAL_NUMBER',
    nul,
    ',O=',
    '\\',
    '"',
    '#',
    '+',
  ],
  generated: fc.array(anyText, { minLength: 1, maxLength: 4 }).map((all) => bytesOf(all.join(nul))),
  enter(input) {
    const [subject = '', userPrimaryEmail = '', serialNumber = '', deviceDirectoryApiId = ''] =
      textOf(input).split(nul);
    if (checkTemplate(subject, 'subject') !== undefined) return 'a template with a problem';
    const parts = parseName(subject).map((rdn) => rdn.map(({ type }) => type));
    const wanted = wantedFromProfile(
      {
        subject,
        subjectAltNames: [{ type: 'uri', value: 'urn:x:${USER_EMAIL:DEVICE_SERIAL_NUMBER}' }],
        keyUsages: ['digitalSignature'],
        extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'],
        validityDays: 365,
      },
      { kind: 'user', userPrimaryEmail, serialNumber, deviceDirectoryApiId },
    );
    for (const { value } of wanted.subjectAltNames) {
      demand(/^urn:x:(?:[\w.~-]|%[\dA-F]{2})+$/.test(value), `the URI becomes ${value}`);
    }
    const got = wanted.subject.map((rdn) => rdn.map(({ type }) => type));
    demand(JSON.stringify(got) === JSON.stringify(parts), 'a value changes the name’s parts');
    demand(sameName(decodeName(encodeName(wanted.subject)), wanted.subject), 'the name changes');
    return `${got.length} parts`;
  },
  isRefusal: (error) => error instanceof ProvisioningError && error.code.startsWith('name-'),
};

/** Whatever text is about to be logged. It can only take too long. */
export const log: Door = {
  name: 'log',
  form: 'text',
  seeds: [
    'Authorization: Bearer ya29.abc-def_ghi',
    'postgres://user:pass@host/db failed: password="a b"',
    '-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----',
    '{"client_secret": "x", "assertion": \'eyJhbGciOi.eyJzdWIiOi.c2ln\'}',
  ].map(bytesOf),
  dictionary: ['password=', '-----BEGIN ', '://', ':', '@', 'Bearer ', 'eyJ', '.', '"', "'", ' '],
  generated: anyText.map(bytesOf),
  enter: (input) => `${scrub(textOf(input)).includes('[hidden]')}`,
  isRefusal: () => false,
};
