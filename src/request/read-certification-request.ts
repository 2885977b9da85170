import { ProvisioningError } from '../errors.ts';
import {
  contextTag,
  DerError,
  DerReader,
  readBitString,
  readInside,
  readOid,
  readSmallInteger,
  tag,
} from '../x509/der.ts';
import type { DistinguishedName } from '../x509/distinguished-name.ts';
import { decodeName } from '../x509/distinguished-name.ts';
import {
  type AnyKeyUsage,
  decodeExtendedKeyUsage,
  decodeExtensions,
  decodeKeyUsage,
  decodeSubjectAltName,
  decodeTemplateName,
  type Extension,
  extensionOid,
  type FoundAltName,
} from '../x509/extensions.ts';
import { algorithmOfKey, verifySignature } from './signature-algorithm.ts';

/** pkcs-9-at-extensionRequest (RFC 2985 5.4.2). */
export const extensionRequest = '1.2.840.113549.1.9.14';

/** Larger than any request that is made here: 64 KiB. */
const mostBytes = 65_536;

/** What a request says. */
export interface CertificationRequestFacts {
  /** The part that was signed, DER. */
  readonly info: Uint8Array;
  readonly subject: DistinguishedName;
  /** DER. */
  readonly subjectPublicKeyInfo: Uint8Array;
  readonly subjectAltNames: readonly FoundAltName[];
  readonly keyUsages: readonly AnyKeyUsage[];
  /** Object identifiers. */
  readonly extendedKeyUsages: readonly string[];
  readonly template: string | undefined;
  /** All requested extensions, those above included. */
  readonly extensions: readonly Extension[];
  /** All attributes but extensionRequest. Values are DER. */
  readonly attributes: readonly { readonly type: string; readonly values: readonly Uint8Array[] }[];
  /** Whether the signature is good and its algorithm that of the key. */
  readonly verified: boolean;
}

/**
 * Reads and verifies a request.
 *
 * @throws {DerError} when it is not a request. A request with a bad signature is returned as not verified.
 */
export function readCertificationRequest(der: Uint8Array): CertificationRequestFacts {
  const what = 'The certification request';
  if (der.length > mostBytes) throw new DerError(`${what} is longer than ${mostBytes} bytes`);
  const outer = readInside(der, what);
  const infoElement = outer.next(tag.sequence);
  const identifier = outer.next(tag.sequence).bytes;
  const signature = readBitString(outer.next(tag.bitString));
  outer.finish();
  const info = new DerReader(infoElement.content, 'The signed part of the request');
  readSmallInteger(info.next(tag.integer));
  const subject = decodeName(info.next(tag.sequence).bytes);
  const subjectPublicKeyInfo = info.next(tag.sequence).bytes;
  const attributes = readAttributes(info.into('The attributes', contextTag(0, 'constructed')));
  info.finish();
  const requested = attributes.find(({ type }) => type === extensionRequest)?.values[0];
  const extensions = requested === undefined ? [] : decodeExtensions(requested);
  return {
    info: infoElement.bytes,
    subject,
    subjectPublicKeyInfo,
    ...factsOfExtensions(extensions),
    extensions,
    attributes: attributes.filter(({ type }) => type !== extensionRequest),
    verified: isVerified(infoElement.bytes, identifier, signature, subjectPublicKeyInfo),
  };
}

function readAttributes(list: DerReader) {
  const attributes: { type: string; values: Uint8Array[] }[] = [];
  while (!list.done) {
    const attribute = list.into('An attribute');
    const type = readOid(attribute.next(tag.oid));
    const set = attribute.into('An attribute’s values', tag.set);
    attribute.finish();
    if (attributes.some((earlier) => earlier.type === type)) {
      throw new DerError(`Attribute ${type} is there twice`);
    }
    const values: Uint8Array[] = [];
    while (!set.done) values.push(set.next().bytes);
    attributes.push({ type, values });
  }
  return attributes;
}

function factsOfExtensions(extensions: readonly Extension[]) {
  const find = (type: string) => extensions.find((extension) => extension.type === type)?.value;
  const names = find(extensionOid.subjectAltName);
  const usages = find(extensionOid.keyUsage);
  const extended = find(extensionOid.extendedKeyUsage);
  const template = find(extensionOid.templateName);
  return {
    subjectAltNames: names === undefined ? [] : decodeSubjectAltName(names),
    keyUsages: usages === undefined ? [] : decodeKeyUsage(usages),
    extendedKeyUsages: extended === undefined ? [] : decodeExtendedKeyUsage(extended),
    template: template === undefined ? undefined : decodeTemplateName(template),
  };
}

function isVerified(
  info: Uint8Array,
  identifier: Uint8Array,
  signature: Uint8Array,
  subjectPublicKeyInfo: Uint8Array,
): boolean {
  try {
    const algorithm = algorithmOfKey(subjectPublicKeyInfo);
    const proper = verifySignature(info, signature, subjectPublicKeyInfo);
    // A bare r and s is not a signature inside a request, though a device may send one.
    return proper === signature && Buffer.compare(identifier, algorithm.identifier) === 0;
  } catch (error) {
    if (error instanceof ProvisioningError) return false;
    throw error;
  }
}
