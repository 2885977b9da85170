import { GoogleError } from '../errors.ts';
import type { Subject } from '../request/requested-certificate.ts';
import type { ScepProfile } from '../request/scep-profile.ts';
import type { SignatureAlgorithm } from '../request/signature-algorithm.ts';
import { isRecord } from '../words/record.ts';

/** How a process names the profile its certificate follows. */
type ProfileReference =
  | { readonly kind: 'generic'; readonly reference: string }
  | { readonly kind: 'scep'; readonly scep: ScepProfile };

/** Google's CertificateProvisioningProcess, whose every field is optional, narrowed once at the door. */
export interface ProvisioningProcess {
  readonly name: string;
  readonly provisioningProfileId?: string;
  /** DER. Absent or unreadable in Google's record: the process cannot be served. */
  readonly subjectPublicKeyInfo?: Uint8Array;
  /** caConnectionAdapterConfigReference of the generic or the SCEP connection. */
  readonly authority?: string;
  readonly profile?: ProfileReference;
  readonly subject?: Subject;
  /** RFC 3339. */
  readonly startTime?: string;
  readonly signData?: Uint8Array;
  readonly signatureAlgorithm?: SignatureAlgorithm;
  readonly signature?: Uint8Array;
  readonly issuedCertificate?: string;
  /** Present: the process has failed. */
  readonly failureMessage?: string;
}

/**
 * Narrows Google's JSON by hand, because it is on the path of every call. Unknown fields are ignored, unknown enum
 * values count as absent, and so do `null` and empty strings (proto3's default), except for failureMessage, whose
 * presence alone says that the process failed.
 *
 * @throws {GoogleError} `google-bad-answer` for what is not the documented JSON.
 */
export function narrowProcess(json: unknown): ProvisioningProcess {
  const process = objectOf(json, 'the process');
  const name = textOf(process, 'name');
  if (name === undefined) throw badProcess('name is missing');
  const read: Writable<ProvisioningProcess> = { name };
  const provisioningProfileId = textOf(process, 'provisioningProfileId');
  if (provisioningProfileId !== undefined) read.provisioningProfileId = provisioningProfileId;
  // An unreadable key is left out, so the process is refused; as a bad answer it would be asked for again.
  const subjectPublicKeyInfo = decodeBase64(textOf(process, 'subjectPublicKeyInfo') ?? '');
  if (subjectPublicKeyInfo?.length) read.subjectPublicKeyInfo = subjectPublicKeyInfo;
  const authority = authorityReferenceOf(process);
  if (authority !== undefined) read.authority = authority;
  const profile = profileOf(process);
  if (profile !== undefined) read.profile = profile;
  const subject = subjectOf(process);
  if (subject !== undefined) read.subject = subject;
  const startTime = textOf(process, 'startTime');
  if (startTime !== undefined) read.startTime = startTime;
  const signData = bytesOf(process, 'signData');
  if (signData !== undefined) read.signData = signData;
  const algorithm = textOf(process, 'signatureAlgorithm');
  if (isSignatureAlgorithm(algorithm)) read.signatureAlgorithm = algorithm;
  const signature = bytesOf(process, 'signature');
  if (signature !== undefined) read.signature = signature;
  const issuedCertificate = textOf(process, 'issuedCertificate');
  if (issuedCertificate !== undefined) read.issuedCertificate = issuedCertificate;
  const failureMessage = process.failureMessage ?? undefined;
  if (typeof failureMessage === 'string') read.failureMessage = failureMessage;
  else if (failureMessage !== undefined) throw badProcess('failureMessage is not a string');
  return read;
}

type Writable<Type> = { -readonly [Key in keyof Type]: Type[Key] };
type Json = Readonly<Record<string, unknown>>;

const subjectAltNameTypes: ReadonlyMap<unknown, ScepProfile['subjectAltNames'][number]['type']> =
  new Map([
    ['DNS_NAME', 'dns'],
    ['RFC822_NAME', 'email'],
    ['OTHER_NAME_USER_PRINCIPAL_NAME', 'upn'],
    ['UNIFORM_RESOURCE_IDENTIFIER', 'uri'],
  ] as const);

const keyUsages: ReadonlyMap<unknown, ScepProfile['keyUsages'][number]> = new Map([
  ['KEY_USAGE_SIGNING', 'SIGNING'],
  ['KEY_USAGE_KEY_ENCIPHERMENT', 'KEY_ENCIPHERMENT'],
] as const);

function isSignatureAlgorithm(name: string | undefined): name is SignatureAlgorithm {
  return (
    name === 'SIGNATURE_ALGORITHM_RSA_PKCS1_V1_5_SHA256' ||
    name === 'SIGNATURE_ALGORITHM_ECDSA_SHA256'
  );
}

function authorityReferenceOf(process: Json): string | undefined {
  const connection = oneOf(process, 'genericCaConnection', 'scepCaConnection');
  return connection && textOf(connection.value, 'caConnectionAdapterConfigReference');
}

function profileOf(process: Json): ProfileReference | undefined {
  const profile = oneOf(process, 'genericProfile', 'scepProfile');
  if (profile === undefined) return undefined;
  if (profile.key === 'scepProfile') return { kind: 'scep', scep: scepProfileOf(profile.value) };
  const reference = textOf(profile.value, 'profileAdapterConfigReference');
  return reference === undefined ? undefined : { kind: 'generic', reference };
}

const scepTexts = [
  'certificateTemplateName',
  'subjectCommonName',
  'organization',
  'locality',
  'state',
  'country',
] as const;

function scepProfileOf(scep: Json): ScepProfile {
  const profile: Writable<ScepProfile> = {
    organizationalUnits: arrayOf(scep, 'organizationalUnits').map((unit) => {
      if (typeof unit !== 'string') throw badProcess('an organizationalUnit is not a string');
      return unit;
    }),
    keyUsages: arrayOf(scep, 'keyUsages').flatMap((usage) => keyUsages.get(usage) ?? []),
    subjectAltNames: arrayOf(scep, 'subjectAltNames').flatMap((json) => {
      const name = objectOf(json, 'a subjectAltName');
      const type = subjectAltNameTypes.get(name.type);
      const value = textOf(name, 'value');
      return type === undefined || value === undefined ? [] : { type, value };
    }),
  };
  for (const key of scepTexts) {
    const text = textOf(scep, key);
    if (text !== undefined) profile[key] = text;
  }
  return profile;
}

function subjectOf(process: Json): Subject | undefined {
  const subject = oneOf(process, 'chromeOsDevice', 'chromeOsUserSession');
  if (subject === undefined) return undefined;
  if (subject.key === 'chromeOsDevice') return { kind: 'device', ...deviceOf(subject.value) };
  const userDirectoryApiId = textOf(subject.value, 'userDirectoryApiId');
  const userPrimaryEmail = textOf(subject.value, 'userPrimaryEmail');
  const device = subject.value.chromeOsDevice ?? undefined;
  return {
    kind: 'user',
    ...(userDirectoryApiId === undefined ? {} : { userDirectoryApiId }),
    ...(userPrimaryEmail === undefined ? {} : { userPrimaryEmail }),
    ...(device === undefined ? {} : deviceOf(objectOf(device, 'chromeOsDevice'))),
  };
}

function deviceOf(device: Json): { deviceDirectoryApiId?: string; serialNumber?: string } {
  const deviceDirectoryApiId = textOf(device, 'deviceDirectoryApiId');
  const serialNumber = textOf(device, 'serialNumber');
  return {
    ...(deviceDirectoryApiId === undefined ? {} : { deviceDirectoryApiId }),
    ...(serialNumber === undefined ? {} : { serialNumber }),
  };
}

/** The member of a union that is there; two of them contradict each other. */
function oneOf<First extends string, Second extends string>(
  json: Json,
  first: First,
  second: Second,
): { readonly key: First | Second; readonly value: Json } | undefined {
  const one = json[first] ?? undefined;
  const other = json[second] ?? undefined;
  if (one !== undefined && other !== undefined) {
    throw badProcess(`it has both ${first} and ${second}`);
  }
  if (one !== undefined) return { key: first, value: objectOf(one, first) };
  return other === undefined ? undefined : { key: second, value: objectOf(other, second) };
}

function objectOf(json: unknown, what: string): Json {
  if (isRecord(json)) return json;
  throw badProcess(`${what} is not an object`);
}

function arrayOf(json: Json, key: string): readonly unknown[] {
  const value = json[key] ?? [];
  if (!Array.isArray(value)) throw badProcess(`${key} is not an array`);
  return value;
}

function textOf(json: Json, key: string): string | undefined {
  const value = json[key];
  if (typeof value === 'string') return value === '' ? undefined : value;
  if (value === undefined || value === null) return undefined;
  throw badProcess(`${key} is not a string`);
}

function bytesOf(json: Json, key: string): Uint8Array | undefined {
  const text = textOf(json, key);
  if (text === undefined) return undefined;
  const bytes = decodeBase64(text);
  if (bytes === undefined) throw badProcess(`${key} is not base64`);
  return bytes;
}

/** Decodes canonical, padded base64 (RFC 4648 section 4); undefined for anything else, which Node would skip over. */
export function decodeBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

function badProcess(problem: string): GoogleError {
  return new GoogleError(
    'google-bad-answer',
    `Google’s certificate provisioning process cannot be read: ${problem}.`,
    { unclear: false },
  );
}
