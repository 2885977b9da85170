import type { SubjectAltName } from './alt-name-form.ts';
import {
  contextTag,
  type DerElement,
  DerError,
  DerReader,
  readBoolean,
  readInside,
  readOid,
  readSingle,
  tag,
} from './der.ts';
import { readText } from './der-text.ts';
import { encode, encodeOid, encodeText } from './encode-der.ts';
import type { KeyUsage } from './usages.ts';

/** An extension. `value` is the content of extnValue: the DER of the extension's own structure. */
export interface Extension {
  readonly type: string;
  readonly critical: boolean;
  readonly value: Uint8Array;
}

/** Object identifiers of the extensions that are read or written here. */
export const extensionOid = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  /** Microsoft's name of a version-1 template. */
  templateName: '1.3.6.1.4.1.311.20.2',
} as const;

const userPrincipalName = '1.3.6.1.4.1.311.20.2.3';

/** A certificate's alternative name; `other` is any that cannot be asked for, described for messages. */
export interface FoundAltName {
  readonly type: SubjectAltName['type'] | 'other';
  readonly value: string;
}

/** All key usages of RFC 5280 4.2.1.3. */
export type AnyKeyUsage = KeyUsage | 'keyCertSign' | 'cRLSign' | 'encipherOnly' | 'decipherOnly';

/** In the order of their bits. */
const keyUsageBits: readonly AnyKeyUsage[] = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
];

/**
 * Extensions ::= SEQUENCE OF SEQUENCE {                       (RFC 5280 4.1.2.9)
 *   extnID OBJECT IDENTIFIER, critical BOOLEAN DEFAULT FALSE, extnValue OCTET STRING }
 */
export function encodeExtensions(extensions: readonly Extension[]): Uint8Array {
  return encode(
    tag.sequence,
    ...extensions.map(({ type, critical, value }) =>
      encode(
        tag.sequence,
        encodeOid(type),
        ...(critical ? [encode(tag.boolean, Uint8Array.of(0xff))] : []),
        encode(tag.octetString, value),
      ),
    ),
  );
}

/** @throws {DerError} also when one extension is there twice (RFC 5280 4.2). */
export function decodeExtensions(der: Uint8Array): Extension[] {
  const list = readInside(der, 'Extensions');
  const extensions: Extension[] = [];
  while (!list.done) {
    const one = list.into('An extension');
    const type = readOid(one.next(tag.oid));
    const critical = one.optional(tag.boolean);
    const value = one.next(tag.octetString).content;
    one.finish();
    if (extensions.some((earlier) => earlier.type === type)) {
      throw new DerError(`Extension ${type} is there twice`);
    }
    // An explicit FALSE is not DER, but some CAs write it, and it means the same.
    extensions.push({ type, critical: critical !== undefined && readBoolean(critical), value });
  }
  return extensions;
}

/**
 * GeneralNames ::= SEQUENCE OF CHOICE {                       (RFC 5280 4.2.1.6)
 *   otherName [0] { type-id OBJECT IDENTIFIER, value [0] EXPLICIT ANY },
 *   rfc822Name [1] IA5String, dNSName [2] IA5String, uniformResourceIdentifier [6] IA5String, … }
 *
 * A user principal name is an otherName with a UTF8String. Critical when the subject is empty.
 */
export function subjectAltNameExtension(
  names: readonly SubjectAltName[],
  critical: boolean,
): Extension {
  const value = encode(tag.sequence, ...names.map(encodeAltName));
  return { type: extensionOid.subjectAltName, critical, value };
}

const altNameTag = { email: 1, dns: 2, uri: 6 } as const;

function encodeAltName({ type, value }: SubjectAltName): Uint8Array {
  if (type === 'upn') {
    return encode(
      contextTag(0, 'constructed'),
      encodeOid(userPrincipalName),
      encode(contextTag(0, 'constructed'), encodeText(tag.utf8String, value)),
    );
  }
  if (!/^[\x20-\x7e]+$/.test(value)) {
    throw new DerError(`A ${type} name is not printable ASCII, as its type demands`);
  }
  return encodeText(contextTag(altNameTag[type], 'primitive'), value);
}

/** @throws {DerError} */
export function decodeSubjectAltName(value: Uint8Array): FoundAltName[] {
  const what = 'The subject alternative name';
  const list = readInside(value, what);
  const names: FoundAltName[] = [];
  while (!list.done) names.push(decodeAltName(list.next()));
  return names;
}

function decodeAltName(element: DerElement): FoundAltName {
  // IA5String: bytes above 7F are wrong there, and as Latin-1 they equal no name that was asked for.
  const text = () => Buffer.from(element.content).toString('latin1');
  switch (element.tag) {
    case contextTag(altNameTag.email, 'primitive'):
      return { type: 'email', value: text() };
    case contextTag(altNameTag.dns, 'primitive'):
      return { type: 'dns', value: text() };
    case contextTag(altNameTag.uri, 'primitive'):
      return { type: 'uri', value: text() };
    case contextTag(0, 'constructed'):
      return decodeOtherName(element);
    case contextTag(7, 'primitive'):
      return { type: 'other', value: `IP address ${hex(element.content)}` };
    case contextTag(4, 'constructed'):
      return { type: 'other', value: `directory name ${hex(element.content)}` };
    default:
      return { type: 'other', value: `general name ${hex(element.bytes)}` };
  }
}

function decodeOtherName(element: DerElement): FoundAltName {
  const otherName = new DerReader(element.content, 'An otherName');
  const type = readOid(otherName.next(tag.oid));
  const wrapped = otherName.into('An otherName’s value', contextTag(0, 'constructed'));
  otherName.finish();
  const value = wrapped.next();
  wrapped.finish();
  const text = type === userPrincipalName ? readText(value) : undefined;
  return text === undefined
    ? { type: 'other', value: `otherName ${type} ${hex(value.bytes)}` }
    : { type: 'upn', value: text };
}

/** Bytes for a message: the first 64. */
function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(0, 64)).toString('hex');
}

/**
 * KeyUsage ::= BIT STRING { digitalSignature (0), nonRepudiation (1), … }      (RFC 5280 4.2.1.3)
 * Named bits: DER leaves out the zeros at the end (X.690 11.2.2).
 */
export function keyUsageExtension(usages: readonly AnyKeyUsage[]): Extension {
  const bits = new Uint8Array(2);
  let last = 0;
  for (const usage of usages) {
    const bit = keyUsageBits.indexOf(usage);
    bits[bit >> 3] = (bits[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
    last = Math.max(last, bit);
  }
  const value = encode(
    tag.bitString,
    Uint8Array.of(7 - (last & 7)),
    bits.subarray(0, (last >> 3) + 1),
  );
  return { type: extensionOid.keyUsage, critical: true, value };
}

/** @throws {DerError} */
export function decodeKeyUsage(value: Uint8Array): AnyKeyUsage[] {
  const { content } = readSingle(value, tag.bitString, 'The key usage');
  const [unused, ...bits] = content;
  if (unused === undefined || unused > 7 || bits.length === 0 || bits.length > 2) {
    throw new DerError('The key usage is not a BIT STRING of one or two bytes');
  }
  // DER has zeros there (X.690 11.2.1). One reader would skip what another takes for keyCertSign.
  if (((bits.at(-1) ?? 0) & ~(0xff << unused)) !== 0) {
    throw new DerError('The key usage is not a BIT STRING of DER: unused bits are set');
  }
  return keyUsageBits.filter((_, bit) => ((bits[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0);
}

/**
 * The identifiers of the key and of its issuer's. Many writers get each wrong in their own way, and nothing depends
 * on them except the choice among CAs of one name: what cannot be read counts as absent.
 *
 * SubjectKeyIdentifier ::= OCTET STRING                            (RFC 5280 4.2.1.2)
 * AuthorityKeyIdentifier ::= SEQUENCE { keyIdentifier [0] IMPLICIT OCTET STRING OPTIONAL, … }   (RFC 5280 4.2.1.1)
 */
export function decodeKeyIdentifier(
  value: Uint8Array,
  whose: 'subject' | 'authority',
): Uint8Array | undefined {
  const what = 'The key identifier';
  try {
    if (whose === 'subject') return readSingle(value, tag.octetString, what).content;
    const fields = readInside(value, what);
    return fields.optional(contextTag(0, 'primitive'))?.content;
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}

/** ExtKeyUsageSyntax ::= SEQUENCE OF OBJECT IDENTIFIER           (RFC 5280 4.2.1.12) */
export function extendedKeyUsageExtension(oids: readonly string[]): Extension {
  const value = encode(tag.sequence, ...oids.map(encodeOid));
  return { type: extensionOid.extendedKeyUsage, critical: false, value };
}

/** @throws {DerError} */
export function decodeExtendedKeyUsage(value: Uint8Array): string[] {
  const what = 'The extended key usage';
  const list = readInside(value, what);
  const oids: string[] = [];
  do oids.push(readOid(list.next(tag.oid)));
  while (!list.done);
  return oids;
}

/** The name of a Microsoft certificate template: a bare BMPString, as Windows writes it (MS-WCCE 2.2.2.7.7.1). */
export function templateNameExtension(template: string): Extension {
  const value = encodeText(tag.bmpString, template);
  return { type: extensionOid.templateName, critical: false, value };
}

/** @throws {DerError} */
export function decodeTemplateName(value: Uint8Array): string {
  const text = readText(readSingle(value, value[0] ?? 0, 'The template name'));
  if (text === undefined) throw new DerError('The template name is not a text');
  return text;
}
