import { contextTag, DerError, readInside, readOid, tag } from './der.ts';
import { encode, encodeOid, encodeUnsigned } from './encode-der.ts';
import type { Extension } from './extensions.ts';

/*
 * Microsoft's extensions, which other CAs copy at best: the template's identifier in a request, and the security
 * identifier (SID) by which domain controllers map a certificate to an account ("strong mapping", KB5014754).
 */

export const microsoftOid = {
  /** szOID_CERTIFICATE_TEMPLATE */
  templateId: '1.3.6.1.4.1.311.21.7',
  /** szOID_APPLICATION_CERT_POLICIES */
  applicationPolicies: '1.3.6.1.4.1.311.21.10',
  /** szOID_NTDS_CA_SECURITY_EXT */
  securityIdentifier: '1.3.6.1.4.1.311.25.2',
  /** szOID_NTDS_OBJECTSID */
  objectSid: '1.3.6.1.4.1.311.25.2.1',
} as const;

/** In a SAN, as MS-PKCA 3.1.5.2.1.6 has it. */
const sidUriPrefix = 'tag:microsoft.com,2022-09-14:sid:';

export interface TemplateId {
  readonly oid: string;
  readonly majorVersion?: number | undefined;
  readonly minorVersion?: number | undefined;
}

/** SEQUENCE { templateID OBJECT IDENTIFIER, major INTEGER OPTIONAL, minor INTEGER OPTIONAL } (MS-WCCE 2.2.2.7.7.2) */
export function templateIdExtension({ oid, majorVersion, minorVersion }: TemplateId): Extension {
  if (majorVersion === undefined && minorVersion !== undefined) {
    throw new DerError('A template’s minor version needs a major version');
  }
  const versions = [majorVersion, minorVersion].filter((version) => version !== undefined);
  const value = encode(tag.sequence, encodeOid(oid), ...versions.map(encodeVersion));
  return { type: microsoftOid.templateId, critical: false, value };
}

function encodeVersion(version: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, version);
  return encodeUnsigned(bytes);
}

/** A SID as text: S-1-, an authority, and up to 15 numbers (MS-DTYP 2.4.2.1). */
export function isSid(text: string): boolean {
  return /^S-1-\d{1,15}(-\d{1,10}){1,15}$/.test(text);
}

/**
 * The SID of the account that a certificate is for (MS-WCCE 2.2.2.7.7.4).
 *
 * GeneralNames { otherName [0] { type-id objectSid, value [0] EXPLICIT OCTET STRING } }: the SID as ASCII text.
 */
export function sidExtension(sid: string): Extension {
  if (!isSid(sid)) throw new DerError('This is not a SID (S-1-…)');
  const text = encode(tag.octetString, Buffer.from(sid, 'latin1'));
  const otherName = encode(
    contextTag(0, 'constructed'),
    encodeOid(microsoftOid.objectSid),
    encode(contextTag(0, 'constructed'), text),
  );
  const value = encode(tag.sequence, otherName);
  return { type: microsoftOid.securityIdentifier, critical: false, value };
}

/** @throws {DerError} */
export function decodeSid(value: Uint8Array): string {
  const what = 'The security identifier';
  const names = readInside(value, what);
  const otherName = names.into(what, contextTag(0, 'constructed'));
  names.finish();
  if (readOid(otherName.next(tag.oid)) !== microsoftOid.objectSid) {
    throw new DerError(`${what} is of an unknown kind`);
  }
  const wrapped = otherName.into(what, contextTag(0, 'constructed'));
  otherName.finish();
  const sid = Buffer.from(wrapped.next(tag.octetString).content).toString('latin1');
  wrapped.finish();
  if (!isSid(sid)) throw new DerError(`${what} is not a SID`);
  return sid;
}

/** The SID as a SAN of type URI, which any CA that keeps SANs will certify. */
export function sidUri(sid: string): string {
  if (!isSid(sid)) throw new DerError('This is not a SID (S-1-…)');
  return `${sidUriPrefix}${sid}`;
}

/** Whether a URI would be taken for a SID, a right one or not. */
export function isSidUri(uri: string): boolean {
  return uri.toLowerCase().startsWith(sidUriPrefix);
}
