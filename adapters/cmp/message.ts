import {
  contextTag,
  type DerElement,
  DerError,
  DerReader,
  readBitString,
  readOid,
  readSingle,
  readSmallInteger,
  tag,
} from '../../src/x509/der.ts';
import { encode, encodeBitString, encodeOid, encodeText } from '../../src/x509/encode-der.ts';

/** The bodies of RFC 9810 5.1.2 that are spoken here, by their tags. */
export const bodyType = {
  certResponse: 3,
  p10CertRequest: 4,
  revocationRequest: 11,
  revocationResponse: 12,
  confirmation: 19,
  generalMessage: 21,
  generalResponse: 22,
  error: 23,
  certConfirm: 24,
  pollRequest: 25,
  pollResponse: 26,
} as const;

export const infoType = {
  implicitConfirm: '1.3.6.1.5.5.7.4.13',
  caCerts: '1.3.6.1.5.5.7.4.17',
  certProfile: '1.3.6.1.5.5.7.4.21',
} as const;

export interface Header {
  /** 2, or 3 where hashAlg is used (RFC 9810 7). */
  readonly pvno: 2 | 3;
  /** Names, DER. */
  readonly sender: Uint8Array;
  readonly recipient: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly messageTime: number;
  /** AlgorithmIdentifier, DER. */
  readonly protectionAlgorithm: Uint8Array;
  readonly senderKeyId: Uint8Array | undefined;
  readonly transactionId: Uint8Array;
  readonly senderNonce: Uint8Array;
  readonly recipNonce: Uint8Array | undefined;
  /** InfoTypeAndValues, DER each. */
  readonly generalInfo: readonly Uint8Array[];
}

/**
 * PKIHeader ::= SEQUENCE {                                              (RFC 9810 5.1.1; tags are EXPLICIT)
 *   pvno INTEGER, sender GeneralName, recipient GeneralName, messageTime [0] GeneralizedTime,
 *   protectionAlg [1] AlgorithmIdentifier, senderKID [2] OCTET STRING, recipKID [3] OCTET STRING,
 *   transactionID [4] OCTET STRING, senderNonce [5] OCTET STRING, recipNonce [6] OCTET STRING,
 *   freeText [7] PKIFreeText, generalInfo [8] SEQUENCE OF InfoTypeAndValue }   all from [0] on OPTIONAL
 */
export function encodeHeader(header: Header): Uint8Array {
  const { senderKeyId, recipNonce, generalInfo } = header;
  const time = new Date(header.messageTime).toISOString().replace(/\.\d+|[-:T]/g, '');
  return encode(
    tag.sequence,
    encode(tag.integer, Uint8Array.of(header.pvno)),
    // GeneralName: directoryName [4] EXPLICIT Name
    explicit(4, header.sender),
    explicit(4, header.recipient),
    explicit(0, encodeText(tag.generalizedTime, time)),
    explicit(1, header.protectionAlgorithm),
    ...(senderKeyId === undefined ? [] : [explicit(2, encode(tag.octetString, senderKeyId))]),
    explicit(4, encode(tag.octetString, header.transactionId)),
    explicit(5, encode(tag.octetString, header.senderNonce)),
    ...(recipNonce === undefined ? [] : [explicit(6, encode(tag.octetString, recipNonce))]),
    ...(generalInfo.length === 0 ? [] : [explicit(8, encode(tag.sequence, ...generalInfo))]),
  );
}

/** The body: a CHOICE of EXPLICIT tags. `content` is DER. */
export function encodeBody(type: number, content: Uint8Array): Uint8Array {
  return explicit(type, content);
}

/** What is protected: SEQUENCE { header, body } (RFC 9810 5.1.3). */
export function protectedPart(header: Uint8Array, body: Uint8Array): Uint8Array {
  return encode(tag.sequence, header, body);
}

/**
 * PKIMessage ::= SEQUENCE { header, body, protection [0] BIT STRING OPTIONAL,
 *   extraCerts [1] SEQUENCE OF CMPCertificate OPTIONAL }                        (RFC 9810 5.1)
 */
export function encodeMessage(
  header: Uint8Array,
  body: Uint8Array,
  protection: Uint8Array,
  extraCerts: readonly Uint8Array[],
): Uint8Array {
  const extra = extraCerts.length === 0 ? [] : [explicit(1, encode(tag.sequence, ...extraCerts))];
  const parts = [header, body, explicit(0, encodeBitString(protection)), ...extra];
  return encode(tag.sequence, ...parts);
}

/** InfoTypeAndValue ::= SEQUENCE { infoType OBJECT IDENTIFIER, infoValue ANY OPTIONAL } */
export function encodeInfo(type: string, value?: Uint8Array): Uint8Array {
  return encode(tag.sequence, encodeOid(type), ...(value === undefined ? [] : [value]));
}

function explicit(number: number, content: Uint8Array): Uint8Array {
  return encode(contextTag(number, 'constructed'), content);
}

/** An answer, read but not verified. */
export interface Message {
  /** DER, as it was protected. */
  readonly protectedPart: Uint8Array;
  /** The sender's Name, DER; undefined when it is another kind of name. */
  readonly sender: Uint8Array | undefined;
  /** AlgorithmIdentifier, DER. */
  readonly protectionAlgorithm: Uint8Array | undefined;
  readonly senderKeyId: Uint8Array | undefined;
  readonly transactionId: Uint8Array | undefined;
  readonly senderNonce: Uint8Array | undefined;
  readonly recipNonce: Uint8Array | undefined;
  /** Object identifiers of generalInfo. */
  readonly infoTypes: readonly string[];
  readonly type: number;
  /** The body's content, DER. */
  readonly body: Uint8Array;
  readonly protection: Uint8Array | undefined;
  /** DER each. */
  readonly extraCerts: readonly Uint8Array[];
}

/** @throws {DerError} */
export function decodeMessage(der: Uint8Array): Message {
  const message = new DerReader(readSingle(der, tag.sequence, 'PKIMessage').content, 'PKIMessage');
  const header = message.next(tag.sequence);
  const body = message.next();
  const protection = message.optional(contextTag(0, 'constructed'));
  const extra = message.optional(contextTag(1, 'constructed'));
  message.finish();
  const type = body.tag & 0x1f;
  if (body.tag !== contextTag(type, 'constructed')) throw new DerError('PKIBody has no known tag');
  return {
    protectedPart: protectedPart(header.bytes, body.bytes),
    ...readHeader(header),
    type,
    body: body.content,
    protection:
      protection === undefined
        ? undefined
        : readBitString(readSingle(protection.content, tag.bitString, 'The protection')),
    extraCerts: extra === undefined ? [] : listOf(extra.content, 'extraCerts'),
  };
}

/** The elements of a SEQUENCE OF, DER each. */
export function listOf(der: Uint8Array, what: string): Uint8Array[] {
  const list = new DerReader(readSingle(der, tag.sequence, what).content, what);
  const found: Uint8Array[] = [];
  while (!list.done) found.push(list.next().bytes);
  return found;
}

function readHeader(element: DerElement) {
  const header = new DerReader(element.content, 'PKIHeader');
  const version = readSmallInteger(header.next(tag.integer));
  if (version < 1 || version > 3) throw new DerError(`PKIHeader has version ${version}`);
  const sender = header.next();
  header.next();
  const fields = new Map<number, Uint8Array>();
  while (!header.done) {
    const field = header.next();
    fields.set(field.tag & 0x1f, field.content);
  }
  const octets = (number: number) => {
    const field = fields.get(number);
    return field && readSingle(field, tag.octetString, `PKIHeader’s field ${number}`).content;
  };
  const info = fields.get(8);
  return {
    sender: sender.tag === contextTag(4, 'constructed') ? sender.content : undefined,
    protectionAlgorithm: fields.get(1),
    senderKeyId: octets(2),
    transactionId: octets(4),
    senderNonce: octets(5),
    recipNonce: octets(6),
    infoTypes: info === undefined ? [] : listOf(info, 'generalInfo').map(infoTypeOf),
  };
}

function infoTypeOf(der: Uint8Array): string {
  return readOid(new DerReader(der, 'generalInfo').into('InfoTypeAndValue').next(tag.oid));
}
