import type { CsrAdditions, PrepareRequest } from '../../src/plug-in/certificate-authority.ts';
import type { KeyType } from '../../src/request/requested-certificate.ts';
import { contextTag, DerError, DerReader, readOid, readSingle, tag } from '../../src/x509/der.ts';
import {
  type AnyKeyUsage,
  decodeExtendedKeyUsage,
  decodeKeyUsage,
  extensionOid,
} from '../../src/x509/extensions.ts';
import type { KeyUsage } from '../../src/x509/usages.ts';
import { formatExtendedKeyUsage, keyUsageNames } from '../../src/x509/usages.ts';

const oid = {
  challengePassword: '1.2.840.113549.1.9.7',
  extensionRequest: '1.2.840.113549.1.9.14',
  requestInfoTemplate: '1.2.840.113549.1.9.16.2.61',
  extensionRequestTemplate: '1.2.840.113549.1.9.16.2.62',
  rsaEncryption: '1.2.840.113549.1.1.1',
  ecPublicKey: '1.2.840.10045.2.1',
} as const;

/** Extensions that say how to certify and nothing about whom: taken over with the server's value. */
const takenOver: readonly string[] = [
  extensionOid.templateName,
  '1.3.6.1.4.1.311.21.7', // Microsoft's certificate template, version 2 (MS-WCCE 2.2.2.7.7.2)
  '2.5.29.32', // certificatePolicies
];

interface Hint {
  readonly type: string;
  readonly critical: boolean;
  /** Undefined where the server only wants the extension to be there. */
  readonly value: Uint8Array | undefined;
}

/** What a server asks a CSR to have, as far as it is understood; the rest is to be ignored (RFC 7030 4.5.2). */
interface Wishes {
  challengePassword: boolean;
  readonly keyTypes: Set<KeyType>;
  readonly extensions: Hint[];
}

/** Told of what cannot be had or understood. */
type Warn = (what: string) => void;

/**
 * What the server's CSR attributes mean for this order. They are advice (RFC 7030 4.5.2): what contradicts the profile,
 * cannot be had because the device signs what it signs, or cannot be read is told, and the order goes on without it. A
 * server that insists refuses the order in its own words.
 *
 * Names are never taken from the server: they come from Google's record alone.
 *
 * @param der CsrAttrs.
 */
export function additionsOf(der: Uint8Array, request: PrepareRequest, warn: Warn): CsrAdditions {
  try {
    return meet(read(der, warn), request, warn);
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    warn(`they cannot be read: ${error.message}`);
    return {};
  }
}

function meet(wishes: Wishes, request: PrepareRequest, warn: Warn): CsrAdditions {
  if (wishes.challengePassword) {
    warn(
      'the server wants a challengePassword in the CSR, to bind it to the TLS connection (RFC 7030 3.5). The CSR is signed by the device, not on this connection. If orders are refused for it, switch the demand off for our label',
    );
  }
  const { keyTypes } = wishes;
  if (keyTypes.size > 0 && !keyTypes.has(request.keyType)) {
    warn(
      `the server wants a key of type ${[...keyTypes].join(' or ')}, the device has one of type ${request.keyType}. If orders are refused for it, change the key type in the Admin console’s profile, or the server’s policy`,
    );
  }
  const extensions: { type: string; critical: boolean; value: Uint8Array }[] = [];
  let keyUsages: readonly KeyUsage[] | undefined;
  for (const hint of wishes.extensions) {
    if (hint.type === extensionOid.keyUsage) keyUsages = keyUsagesOf(hint, request, warn);
    else if (hint.type === extensionOid.extendedKeyUsage) checkExtended(hint, request, warn);
    else if (hint.type === extensionOid.subjectAltName) checkAltNames(request, warn);
    else if (takenOver.includes(hint.type) && hint.value !== undefined) {
      const ours = hint.type === extensionOid.templateName && request.wanted.template !== undefined;
      const double = extensions.some(({ type }) => type === hint.type);
      if (!ours && !double) extensions.push({ ...hint, value: hint.value });
    }
  }
  return {
    ...(extensions.length === 0 ? {} : { extensions }),
    ...(keyUsages === undefined ? {} : { keyUsages }),
  };
}

function keyUsagesOf(
  { value }: Hint,
  { wanted }: PrepareRequest,
  warn: Warn,
): readonly KeyUsage[] | undefined {
  if (value === undefined) {
    if (wanted.keyUsages.length === 0) {
      warn('the server wants a key usage in the CSR: add keyUsages to the profile');
    }
    return undefined;
  }
  const asked = decodeKeyUsage(value);
  const usages = asked.filter(isProfileUsage);
  if (usages.length < asked.length || usages.length === 0) {
    const names = asked.join(', ') || 'none';
    warn(`the server wants the key usages ${names}, and not all of them are for a device`);
  }
  return usages.length === 0 ? undefined : usages;
}

function isProfileUsage(usage: AnyKeyUsage): usage is KeyUsage {
  return keyUsageNames.some((name) => name === usage);
}

function checkExtended({ value }: Hint, { wanted }: PrepareRequest, warn: Warn): void {
  const asked = value === undefined ? [] : decodeExtendedKeyUsage(value);
  const missing = asked.filter((each) => !wanted.extendedKeyUsages.includes(each));
  if (missing.length === 0 && wanted.extendedKeyUsages.length > 0) return;
  const names = missing.map(formatExtendedKeyUsage).join(', ') || 'of some kind';
  warn(
    `the server wants extended key usages in the CSR that the profile lacks (${names}): add them to the profile’s extendedKeyUsages`,
  );
}

function checkAltNames({ wanted }: PrepareRequest, warn: Warn): void {
  if (wanted.subjectAltNames.length > 0) return;
  warn(
    'the server wants a subject alternative name in the CSR: add subjectAltNames to the profile',
  );
}

/**
 * CsrAttrs ::= SEQUENCE SIZE (0..MAX) OF AttrOrOID                              (RFC 7030 4.5.2, RFC 9908 3.2)
 * AttrOrOID ::= CHOICE { oid OBJECT IDENTIFIER,
 *   attribute SEQUENCE { type OBJECT IDENTIFIER, values SET SIZE (1..MAX) OF ANY } }
 */
function read(der: Uint8Array, warn: Warn): Wishes {
  const list = attributesIn(readSingle(der, tag.sequence, 'CsrAttrs').content);
  // Where there is a template, it is the whole wish (RFC 9908 3.4).
  const template = list.find(({ type }) => type === oid.requestInfoTemplate)?.values[0];
  const wishes: Wishes = { challengePassword: false, keyTypes: new Set(), extensions: [] };
  if (template !== undefined) readTemplate(template, wishes);
  else {
    for (const attribute of list) {
      // One that is odd leaves the others as they are.
      try {
        note(attribute, wishes);
      } catch (error) {
        if (!(error instanceof DerError)) throw error;
        warn(`the attribute ${attribute.type} cannot be read: ${error.message}`);
      }
    }
  }
  return wishes;
}

interface Wish {
  readonly type: string;
  readonly values: readonly Uint8Array[];
}

function attributesIn(content: Uint8Array): Wish[] {
  const list = new DerReader(content, 'CsrAttrs');
  const found: Wish[] = [];
  while (!list.done) {
    if (list.peek() === tag.oid) {
      found.push({ type: readOid(list.next()), values: [] });
      continue;
    }
    const attribute = list.into('An attribute of CsrAttrs');
    const type = readOid(attribute.next(tag.oid));
    const set = attribute.into('An attribute’s values', tag.set);
    const values: Uint8Array[] = [];
    while (!set.done) values.push(set.next().bytes);
    found.push({ type, values });
  }
  return found;
}

function note({ type, values }: Wish, wishes: Wishes): void {
  const [value] = values;
  if (type === oid.challengePassword) wishes.challengePassword = true;
  else if (type === oid.rsaEncryption) wishes.keyTypes.add('rsa');
  else if (type === oid.ecPublicKey) wishes.keyTypes.add('ec');
  else if (type === oid.extensionRequest || type === oid.extensionRequestTemplate) {
    for (const each of values) wishes.extensions.push(...hintsIn(each));
  } else if (type.startsWith('2.5.29.') && value === undefined) {
    wishes.extensions.push({ type, critical: false, value: undefined });
  }
}

/**
 * CertificationRequestInfoTemplate ::= SEQUENCE { version INTEGER, subject NameTemplate OPTIONAL,
 *   subjectPKInfo [0] SubjectPublicKeyInfoTemplate OPTIONAL, attributes [1] Attributes }      (RFC 9908 3.4)
 */
function readTemplate(der: Uint8Array, wishes: Wishes): void {
  const template = new DerReader(readSingle(der, tag.sequence, 'The template').content, 'Template');
  template.next(tag.integer);
  template.optional(tag.sequence);
  const keyInfo = template.optional(contextTag(0, 'constructed'));
  if (keyInfo !== undefined) {
    const algorithm = new DerReader(keyInfo.content, 'The key’s template').into('The algorithm');
    note({ type: readOid(algorithm.next(tag.oid)), values: [] }, wishes);
  }
  const attributes = template.optional(contextTag(1, 'constructed'));
  if (attributes === undefined) return;
  for (const attribute of attributesIn(attributes.content)) note(attribute, wishes);
}

/**
 * Extensions, or ExtensionTemplates, whose extnValue may be missing (RFC 9908 3.4). RFC 7030's own example (4.5.2) has a
 * bare OID in their place: an extension that is wanted with whatever value.
 */
function hintsIn(der: Uint8Array): Hint[] {
  if (der[0] === tag.oid) {
    const type = readOid(readSingle(der, tag.oid, 'A requested extension'));
    return [{ type, critical: false, value: undefined }];
  }
  const what = 'The requested extensions';
  const list = new DerReader(readSingle(der, tag.sequence, what).content, what);
  const hints: Hint[] = [];
  while (!list.done) {
    const one = list.into('A requested extension');
    const type = readOid(one.next(tag.oid));
    const critical = one.optional(tag.boolean)?.content[0] === 0xff;
    const value = one.optional(tag.octetString)?.content;
    hints.push({ type, critical, value: value?.length === 0 ? undefined : value });
  }
  return hints;
}
