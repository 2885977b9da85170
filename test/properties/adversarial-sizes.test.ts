import { describe, expect, it } from 'vitest';
import { visibleText } from '../../adapters/adcs/visible-text.ts';
import { parseXml, XmlError } from '../../adapters/adcs/xml.ts';
import { readCertificatesAnswer } from '../../adapters/est/encoding.ts';
import { berToDer } from '../../adapters/scep/ber.ts';
import { jsonBody } from '../../adapters/shared/json-body.ts';
import { serverWords } from '../../adapters/shared/server-words.ts';
import { ProvisioningError } from '../../src/errors.ts';
import {
  decodeNotification,
  UnreadableNotificationError,
} from '../../src/notification/notification.ts';
import { scrub } from '../../src/telemetry/scrub.ts';
import { DerError, DerReader, readOid, tag } from '../../src/x509/der.ts';
import { decodeName } from '../../src/x509/distinguished-name.ts';
import { encode } from '../../src/x509/encode-der.ts';
import { decodePem, PemError } from '../../src/x509/pem.ts';
import { certificatesOfPkcs7 } from '../../src/x509/pkcs7.ts';

/*
 * Everything is read on one event loop: as much as a door takes in, in the worst shape that we could think of,
 * must not hold it for long. A reader whose work grows with the square of its input needs seconds to hours for these.
 */

const mebibyte = 1024 * 1024;
/** Far above what any of them takes on a busy machine, far below anything quadratic. */
const longestMs = 1_500;

const indefinite = Buffer.of(0x30, 0x80);
const nothing = Buffer.of(0x05, 0x00);
const attribute = encode(
  tag.sequence,
  encode(tag.oid, Buffer.of(0x55, 4, 3)),
  encode(tag.utf8String, Buffer.from('a')),
);
const declarations = Array.from({ length: 45_000 }, (_, at) => `xmlns:n${at.toString(36)}="a"`);
const certificate = '-----BEGIN CERTIFICATE-----\n';

/** What is read, by whom, and the error where it is none of its own. */
const cases: readonly [string, () => unknown, (new (...args: never[]) => Error)?][] = [
  [
    'XML with 45,000 namespaces around 4,000 elements',
    () => parseXml(`<x ${declarations.join(' ')}>${'<y/>'.repeat(4_000)}</x>`),
    XmlError,
  ],
  [
    'XML that declares at every depth',
    () =>
      parseXml(
        `<x>${`<y ${declarations.slice(0, 90).join(' ')}>`.repeat(60)}${'<z/>'.repeat(4_900)}${'</y>'.repeat(60)}</x>`,
      ),
  ],
  ['XML with attributes and no end', () => parseXml(`<x${' a="b"'.repeat(150_000)}`), XmlError],
  ['XML with comments that do not end', () => parseXml(`<x>${'<!--'.repeat(200_000)}`), XmlError],
  [
    'an object identifier of a megabyte',
    () =>
      readOid(
        new DerReader(
          encode(tag.oid, Buffer.concat([Buffer.alloc(mebibyte, 0xff), Buffer.of(1)])),
          'It',
        ).next(),
      ),
    DerError,
  ],
  [
    'BER of half a million elements',
    () => berToDer(Buffer.concat([indefinite, Buffer.alloc(mebibyte, nothing), Buffer.alloc(2)])),
    DerError,
  ],
  ['BER of indefinite lengths alone', () => berToDer(Buffer.alloc(mebibyte, indefinite)), DerError],
  [
    'PKCS#7 of indefinite lengths alone',
    () => certificatesOfPkcs7(Buffer.alloc(mebibyte, indefinite)),
    DerError,
  ],
  [
    'PKCS#7 with many elements, deep down',
    () =>
      certificatesOfPkcs7(
        Buffer.concat([
          Buffer.alloc(30, indefinite),
          Buffer.alloc(mebibyte, nothing),
          Buffer.alloc(30),
        ]),
      ),
    DerError,
  ],
  [
    'a name of 4,000 parts',
    () =>
      decodeName(
        encode(tag.sequence, ...Array.from({ length: 4_000 }, () => encode(tag.set, attribute))),
      ),
  ],
  [
    'a name with one part of 4,000',
    () =>
      decodeName(
        encode(tag.sequence, encode(tag.set, ...Array.from({ length: 4_000 }, () => attribute))),
      ),
  ],
  [
    'PEM with 10,000 blocks',
    () => decodePem(`${certificate}TUlJ\n-----END CERTIFICATE-----\n`.repeat(10_000)),
    PemError,
  ],
  [
    'PEM with a character a line',
    () => decodePem(`${certificate}${'A\n'.repeat(500_000)}-----END CERTIFICATE-----`),
  ],
  ['PEM of equal signs', () => decodePem(certificate + '='.repeat(1_000_000)), PemError],
  [
    'base64 with a blank after each character',
    () => readCertificatesAnswer(Buffer.from('A '.repeat(500_000)), 'It'),
    ProvisioningError,
  ],
  [
    'JSON that is an array in an array',
    () => jsonBody(Buffer.from('['.repeat(500_000) + ']'.repeat(500_000))),
  ],
  ['HTML of scripts without an end', () => visibleText('<script>'.repeat(130_000))],
  ['HTML of comments without an end', () => visibleText('<!--'.repeat(250_000))],
  ['HTML of opening angle brackets', () => visibleText('<'.repeat(1_000_000))],
  ['a server’s words that are blanks', () => serverWords(`x${' '.repeat(1_000_000)}x`, ['xxxx'])],
  [
    'a notification of one field again and again',
    () => decodeNotification(Buffer.alloc(65_000, Buffer.of(0x0a, 1, 0x41))),
    UnreadableNotificationError,
  ],
  ...['-----BEGIN PRIVATE KEY-----', 'a://x:', 'password="', 'eyJhbGci', 'Basic ', 'a'].map(
    (word) =>
      [`a log line of ${word}`, () => scrub(word.repeat(mebibyte / word.length))] as [
        string,
        () => unknown,
      ],
  ),
];

describe('inputs made to hold the event loop', () => {
  it.each(cases)('%s', (_what, read, refusal) => {
    const startedAt = performance.now();
    if (refusal === undefined) read();
    else expect(read).toThrow(refusal);
    expect(performance.now() - startedAt).toBeLessThan(longestMs);
  });
});
