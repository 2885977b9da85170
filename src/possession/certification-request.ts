import { ProvisioningError } from '../errors.ts';
import type {
  CsrAdditions,
  DistinguishedName,
  KeyType,
  RequestedCertificate,
} from '../issue/certificate-authority.ts';
import {
  contextTag,
  DerError,
  DerReader,
  readBitString,
  readOid,
  readSingle,
  readSmallInteger,
  tag,
} from '../x509/der.ts';
import { decodeName, encodeName } from '../x509/distinguished-name.ts';
import {
  encode,
  encodeBitString,
  encodeOid,
  encodeSetOf,
  encodeUnsigned,
} from '../x509/encode-der.ts';
import {
  type AnyKeyUsage,
  decodeExtendedKeyUsage,
  decodeExtensions,
  decodeKeyUsage,
  decodeSubjectAltName,
  decodeTemplateName,
  type Extension,
  encodeExtensions,
  extendedKeyUsageExtension,
  extensionOid,
  type FoundAltName,
  keyUsageExtension,
  subjectAltNameExtension,
  templateNameExtension,
} from '../x509/extensions.ts';
import { sidExtension } from '../x509/microsoft-extensions.ts';
import { algorithmOfKey, keyAlgorithms, verifySignature } from './signature-algorithm.ts';

/** pkcs-9-at-extensionRequest (RFC 2985 5.4.2). */
const extensionRequest = '1.2.840.113549.1.9.14';
const versionOne = encodeUnsigned(Uint8Array.of(0));

/** Larger than any request that is made here: 64 KiB. */
const mostBytes = 65_536;

/**
 * The bytes that the device signs (DER).
 *
 * CertificationRequestInfo ::= SEQUENCE {                      (RFC 2986 4.1)
 *   version INTEGER { v1(0) }, subject Name, subjectPKInfo SubjectPublicKeyInfo,
 *   attributes [0] IMPLICIT SET OF SEQUENCE { type OBJECT IDENTIFIER, values SET OF ANY } }
 *
 * @throws {NameError} when the subject breaks the standards' bounds.
 * @throws {Error} when the additions repeat what the request says already: a mistake in the adapter.
 */
export function certificationRequestInfo(request: {
  readonly subjectPublicKeyInfo: Uint8Array;
  readonly wanted: RequestedCertificate;
  readonly additions?: CsrAdditions | undefined;
}): Uint8Array {
  const { subjectPublicKeyInfo, wanted, additions = {} } = request;
  const extensions = extensionsOf(wanted, additions);
  const attributes = [...(additions.attributes ?? [])];
  if (extensions.length > 0) {
    attributes.push({ type: extensionRequest, values: [encodeExtensions(extensions)] });
  }
  refuseDoubles(attributes, 'attribute');
  return encode(
    tag.sequence,
    versionOne,
    encodeName(wanted.subject),
    subjectPublicKeyInfo,
    encodeSetOf(
      attributes.map(({ type, values }) =>
        encode(tag.sequence, encodeOid(type), encodeSetOf(values)),
      ),
      contextTag(0, 'constructed'),
    ),
  );
}

function extensionsOf(wanted: RequestedCertificate, additions: CsrAdditions): Extension[] {
  const keyUsages = additions.keyUsages ?? wanted.keyUsages;
  const extensions: Extension[] = [];
  if (keyUsages.length > 0) extensions.push(keyUsageExtension(keyUsages));
  if (wanted.extendedKeyUsages.length > 0) {
    extensions.push(extendedKeyUsageExtension(wanted.extendedKeyUsages));
  }
  if (wanted.subjectAltNames.length > 0) {
    const critical = wanted.subject.length === 0;
    extensions.push(subjectAltNameExtension(wanted.subjectAltNames, critical));
  }
  if (wanted.template !== undefined) extensions.push(templateNameExtension(wanted.template));
  if (wanted.securityIdentifier !== undefined) {
    extensions.push(sidExtension(wanted.securityIdentifier));
  }
  extensions.push(...(additions.extensions ?? []));
  refuseDoubles(extensions, 'extension');
  return extensions;
}

function refuseDoubles(parts: readonly { readonly type: string }[], what: string): void {
  const types = parts.map(({ type }) => type);
  const double = types.find((type, index) => types.indexOf(type) !== index);
  if (double !== undefined) {
    throw new Error(
      `The request has ${what} ${double} twice: the adapter’s prepare() must not add it.`,
    );
  }
}

/**
 * The complete request (DER), without a private key being at hand.
 *
 * CertificationRequest ::= SEQUENCE {                          (RFC 2986 4.2)
 *   CertificationRequestInfo, signatureAlgorithm AlgorithmIdentifier, signature BIT STRING }
 *
 * @param info what {@link certificationRequestInfo} gave and the device signed.
 * @param signature in the form that `verifySignature` returns.
 */
export function certificationRequest(
  info: Uint8Array,
  keyType: KeyType,
  signature: Uint8Array,
): Uint8Array {
  return encode(tag.sequence, info, keyAlgorithms[keyType].identifier, encodeBitString(signature));
}

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
 * @throws {DerError} when it is no request. A request with a bad signature is returned as not verified.
 */
export function readCertificationRequest(der: Uint8Array): CertificationRequestFacts {
  const what = 'The certification request';
  if (der.length > mostBytes) throw new DerError(`${what} is longer than ${mostBytes} bytes`);
  const outer = new DerReader(readSingle(der, tag.sequence, what).content, what);
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
    // A bare r and s is no signature inside a request, though a device may send it.
    return proper === signature && Buffer.compare(identifier, algorithm.identifier) === 0;
  } catch (error) {
    if (error instanceof ProvisioningError) return false;
    throw error;
  }
}
