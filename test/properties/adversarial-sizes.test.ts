import { describe, expect, it } from 'vitest';
import { visibleText } from '../../adapters/adcs/visible-text.ts';
import { parseXml, XmlError } from '../../adapters/adcs/xml.ts';
import { readCertificatesAnswer } from '../../adapters/est/encoding.ts';
import { jsonBody } from '../../adapters/shared/json-answer.ts';
import { serverWords } from '../../adapters/shared/server-words.ts';
import { ProvisioningError } from '../../src/errors.ts';
import {
  decodeNotification,
  UnreadableNotificationError,
} from '../../src/notification/notification.ts';
import { scrub } from '../../src/words/scrub.ts';
import { readBer } from '../../src/x509/ber.ts';
import { DerError, DerReader, readOid, tag } from '../../src/x509/der.ts';
import { decodeName } from '../../src/x509/distinguished-name.ts';
import { encode } from '../../src/x509/encode-der.ts';
import { decodePem, PemError } from '../../src/x509/pem.ts';
import { certificatesOfPkcs7 } from '../../src/x509/pkcs7.ts';
import { work } from '../support/work.ts';

/*
 * Everything is read on one event loop: as much as a door takes in, in the worst shape that we could think of,
 * must not hold it for long. A reader whose work grows with the square of its input needs seconds to hours for these.
 */

const mebibyte = 1024 * 1024;
/** Makes a count of the whole input one of the input that is to be read. */
type Size = (count: number) => number;

/** Of this share of the input the work is compared with that of all of it. */
const share = 1 / 8;
/** Eight times the input is eight times the work, and a square is 64 times: this lies between. */
const mostTimes = 24;
/** Less work than this, in milliseconds of the processor, is not worth comparing. */
const negligibleMs = 100;

const indefinite = Buffer.of(0x30, 0x80);
const nothing = Buffer.of(0x05, 0x00);
const attribute = encode(
  tag.sequence,
  encode(tag.oid, Buffer.of(0x55, 4, 3)),
  encode(tag.utf8String, Buffer.from('a')),
);
const declarations = Array.from({ length: 45_000 }, (_, at) => `xmlns:n${at.toString(36)}="a"`);
const certificate = '-----BEGIN CERTIFICATE-----\n';

type Case = [string, (of: Size) => unknown, (new (...args: never[]) => Error)?];

const ber = (what: string, made: (of: Size) => Uint8Array): Case => [
  `BER of ${what}`,
  (of) => readBer(made(of), 'It'),
  DerError,
];

/** What is read, by whom, and the error where it is none of its own. */
const cases: readonly Case[] = [
  [
    'XML with 45,000 namespaces around 4,000 elements',
    (of) =>
      parseXml(`<x ${declarations.slice(0, of(45_000)).join(' ')}>${'<y/>'.repeat(of(4_000))}</x>`),
    XmlError,
  ],
  [
    'XML that declares at every depth',
    (of) =>
      parseXml(
        `<x>${`<y ${declarations.slice(0, 90).join(' ')}>`.repeat(60)}${'<z/>'.repeat(of(4_900))}${'</y>'.repeat(60)}</x>`,
      ),
  ],
  [
    'XML with attributes and no end',
    (of) => parseXml(`<x${' a="b"'.repeat(of(150_000))}`),
    XmlError,
  ],
  [
    'XML with comments that do not end',
    (of) => parseXml(`<x>${'<!--'.repeat(of(200_000))}`),
    XmlError,
  ],
  [
    'an object identifier of a megabyte',
    (of) =>
      readOid(
        new DerReader(
          encode(tag.oid, Buffer.concat([Buffer.alloc(of(mebibyte), 0xff), Buffer.of(1)])),
          'It',
        ).next(),
      ),
    DerError,
  ],
  ...[mebibyte, 250_000].flatMap((size) => [
    ber(`${size} bytes of elements`, (of) =>
      Buffer.concat([indefinite, Buffer.alloc(of(size), nothing), Buffer.alloc(2)]),
    ),
    ber(`${size} bytes of indefinite lengths alone`, (of) => Buffer.alloc(of(size), indefinite)),
  ]),
  [
    'PKCS#7 of indefinite lengths alone',
    (of) => certificatesOfPkcs7(Buffer.alloc(of(mebibyte), indefinite)),
    DerError,
  ],
  [
    'PKCS#7 with many elements, deep down',
    (of) =>
      certificatesOfPkcs7(
        Buffer.concat([
          Buffer.alloc(30, indefinite),
          Buffer.alloc(of(mebibyte), nothing),
          Buffer.alloc(30),
        ]),
      ),
    DerError,
  ],
  [
    'a name of 4,000 parts',
    (of) =>
      decodeName(
        encode(
          tag.sequence,
          ...Array.from({ length: of(4_000) }, () => encode(tag.set, attribute)),
        ),
      ),
  ],
  [
    'a name with one part of 4,000',
    (of) =>
      decodeName(
        encode(
          tag.sequence,
          encode(tag.set, ...Array.from({ length: of(4_000) }, () => attribute)),
        ),
      ),
  ],
  [
    'PEM with 10,000 blocks',
    (of) => decodePem(`${certificate}TUlJ\n-----END CERTIFICATE-----\n`.repeat(of(10_000))),
    PemError,
  ],
  [
    'PEM with a character a line',
    (of) => decodePem(`${certificate}${'A\n'.repeat(of(500_000))}-----END CERTIFICATE-----`),
  ],
  ['PEM of equal signs', (of) => decodePem(certificate + '='.repeat(of(1_000_000))), PemError],
  [
    'base64 with a blank after each character',
    (of) => readCertificatesAnswer(Buffer.from('A '.repeat(of(500_000))), 'It'),
    ProvisioningError,
  ],
  [
    'JSON that is an array in an array',
    (of) => jsonBody(Buffer.from('['.repeat(of(500_000)) + ']'.repeat(of(500_000)))),
  ],
  ['HTML of scripts without an end', (of) => visibleText('<script>'.repeat(of(130_000)))],
  ['HTML of comments without an end', (of) => visibleText('<!--'.repeat(of(250_000)))],
  ['HTML of opening angle brackets', (of) => visibleText('<'.repeat(of(1_000_000)))],
  [
    'a server’s words that are blanks',
    (of) => serverWords(`x${' '.repeat(of(1_000_000))}x`, ['xxxx']),
  ],
  [
    'a notification of one field again and again',
    (of) => decodeNotification(Buffer.alloc(of(65_000), Buffer.of(0x0a, 1, 0x41))),
    UnreadableNotificationError,
  ],
  ...['-----BEGIN PRIVATE KEY-----', 'a://x:', 'password="', 'eyJhbGci', 'Basic ', 'a'].map(
    (word) =>
      [`a log line of ${word}`, (of) => scrub(word.repeat(of(mebibyte / word.length)))] as [
        string,
        (of: Size) => unknown,
      ],
  ),
];

describe('inputs made to hold the event loop', () => {
  it.each(cases)('%s', (_what, read, refusal) => {
    const { workMs, error } = work(() => read((count) => count));
    if (refusal === undefined) expect(error).toBeUndefined();
    else expect(error).toBeInstanceOf(refusal);
    if (workMs < negligibleMs) return;
    const least = work(() => read((count) => Math.ceil(count * share)));
    expect(workMs / least.workMs).toBeLessThan(mostTimes);
  });
});
