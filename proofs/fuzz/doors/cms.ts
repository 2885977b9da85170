import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { openEnvelope } from '../../../adapters/scep/open-envelope.ts';
import { readSignedReply } from '../../../adapters/scep/signed-reply.ts';
import { readCertificate } from '../../../src/x509/certificate.ts';
import { contextTag, DerError, tag } from '../../../src/x509/der.ts';
import { encode, encodeOid } from '../../../src/x509/encode-der.ts';
import { readSignedData } from '../../../src/x509/pkcs7.ts';
import { type Door, demand } from '../door.ts';
import { seeds } from '../seeds.ts';

const data = '1.2.840.113549.1.7.1';
const explicit0 = contextTag(0, 'constructed');
const version = encode(tag.integer, Uint8Array.of(1));
const nothing = encode(tag.null);
const algorithm = (oid: string, parameters = nothing) =>
  encode(tag.sequence, encodeOid(oid), parameters);
const contentInfo = (oid: string, ...fields: readonly Uint8Array[]) =>
  encode(tag.sequence, encodeOid(oid), encode(explicit0, encode(tag.sequence, ...fields)));

/** For a key that nobody has. */
const envelope = contentInfo(
  '1.2.840.113549.1.7.3',
  version,
  encode(
    tag.set,
    encode(
      tag.sequence,
      version,
      encode(tag.sequence, encode(tag.sequence), encode(tag.integer, Uint8Array.of(9))),
      algorithm('1.2.840.113549.1.1.1'),
      encode(tag.octetString, new Uint8Array(256)),
    ),
  ),
  encode(
    tag.sequence,
    encodeOid(data),
    algorithm('2.16.840.1.101.3.4.1.2', encode(tag.octetString, new Uint8Array(16))),
    encode(contextTag(0, 'primitive'), new Uint8Array(32)),
  ),
);

const sha256 = algorithm('2.16.840.1.101.3.4.2.1');
const signer = encode(
  tag.sequence,
  version,
  encode(tag.sequence, encode(tag.sequence), version),
  sha256,
  encode(
    explicit0,
    encode(
      tag.sequence,
      encodeOid('1.2.840.113549.1.9.4'),
      encode(tag.set, encode(tag.octetString, new Uint8Array(32))),
    ),
  ),
  algorithm('1.2.840.113549.1.1.1'),
  encode(tag.octetString, new Uint8Array(256)),
);
const signed = contentInfo(
  '1.2.840.113549.1.7.2',
  version,
  encode(tag.set, sha256),
  encode(tag.sequence, encodeOid(data), encode(explicit0, encode(tag.octetString, envelope))),
  encode(explicit0, seeds.issuing, seeds.root),
  encode(tag.set, signer),
);
const bag = contentInfo(
  '1.2.840.113549.1.7.2',
  version,
  encode(tag.set),
  encode(tag.sequence, encodeOid(data)),
  encode(explicit0, seeds.ec.certificate, seeds.issuing),
  encode(tag.set),
);

const { privateKey: key } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const signingKey = createPublicKey(key);
const certificate = readCertificate(seeds.root);

/** What a SCEP or EST server or AD CS sends: a bag of certificates, and a signed reply with an envelope in it. */
export const cms: Door = {
  name: 'cms',
  form: 'der',
  seeds: [signed, bag, envelope],
  dictionary: ['\x30\x80', '\x24\x80', '\x00\x00', '\x04\x80', '\x30\x84\x7f\xff\xff\xff'],
  generated: fc.uint8Array({ maxLength: 400 }),
  enter(input) {
    const { certificates } = readSignedData(input);
    const reply = readSignedReply(input);
    demand(reply?.isSignedBy(signingKey) !== true, 'a forged reply is believed');
    const opened = reply?.content && attemptToOpen(reply.content);
    return `${certificates.length} certificates, ${reply?.attributes.size} attributes, ${opened}`;
  },
  isRefusal: (error) => error instanceof DerError,
};

function attemptToOpen(content: Uint8Array): string {
  try {
    openEnvelope(content, { key, certificate });
    return 'open';
  } catch (error) {
    if (error instanceof DerError) return error.message.replace(/\d+/g, '');
    throw error;
  }
}
