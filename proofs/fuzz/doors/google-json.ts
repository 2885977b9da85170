import fc from 'fast-check';
import { GoogleError, ProvisioningError } from '../../../src/errors.ts';
import { narrowOperation } from '../../../src/google/operation.ts';
import { narrowProcess, type ProvisioningProcess } from '../../../src/google/process.ts';
import {
  certificationRequest,
  certificationRequestInfo,
} from '../../../src/possession/certification-request.ts';
import { wantedFromProfile, wantedFromScepProfile } from '../../../src/profile/profile.ts';
import { readCertificationRequest } from '../../../src/request/read-certification-request.ts';
import type { KeyType, RequestedCertificate } from '../../../src/request/requested-certificate.ts';
import { algorithmOfKey, verifySignature } from '../../../src/request/signature-algorithm.ts';
import { formatName, sameName } from '../../../src/x509/distinguished-name.ts';
import { bytesOf, type Door, demand, textOf } from '../door.ts';
import { seeds } from '../seeds.ts';

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');

const name = 'customers/C01/certificateProvisioningProcesses/0123456789abcdef';
const chromeOsDevice = { deviceDirectoryApiId: 'a-b-c', serialNumber: 'SIM0000001' };
const generic = {
  name,
  provisioningProfileId: 'profile',
  subjectPublicKeyInfo: base64(seeds.ec.spki),
  chromeOsDevice,
  startTime: '2026-01-01T00:00:00.000000Z',
  genericCaConnection: { caConnectionAdapterConfigReference: 'ca' },
  genericProfile: { profileAdapterConfigReference: 'device_profile' },
};
const scep = {
  name,
  subjectPublicKeyInfo: base64(seeds.rsa.spki),
  chromeOsUserSession: {
    userDirectoryApiId: '100000000000',
    userPrimaryEmail: 'user@example.com',
    chromeOsDevice,
  },
  signData: base64(seeds.rsa.info),
  signatureAlgorithm: 'SIGNATURE_ALGORITHM_RSA_PKCS1_V1_5_SHA256',
  signature: base64(seeds.rsa.signature),
  scepCaConnection: { caConnectionAdapterConfigReference: 'ca' },
  scepProfile: {
    certificateTemplateName: 'ChromeOSWiFi',
    subjectCommonName: '${USER_EMAIL_NAME}',
    organization: 'Example',
    organizationalUnits: ['Chromebooks', '${DEVICE_SERIAL_NUMBER:DEVICE_DIRECTORY_ID}'],
    locality: 'Zürich',
    state: 'ZH',
    country: 'CH',
    keyUsages: ['KEY_USAGE_SIGNING', 'KEY_USAGE_KEY_ENCIPHERMENT'],
    subjectAltNames: [
      { type: 'RFC822_NAME', value: '${USER_EMAIL}' },
      { type: 'DNS_NAME', value: '${USER_EMAIL_DOMAIN}' },
      { type: 'OTHER_NAME_USER_PRINCIPAL_NAME', value: '${USER_EMAIL}' },
      { type: 'UNIFORM_RESOURCE_IDENTIFIER', value: 'urn:x:${USER_DIRECTORY_ID}' },
    ],
  },
};

const dictionary = [
  '${USER_EMAIL}',
  '${DEVICE_SERIAL_NUMBER:USER_EMAIL}',
  '${',
  '}',
  '__proto__',
  'chromeOsDevice',
  'chromeOsUserSession',
  'scepProfile',
  'genericProfile',
  'failureMessage',
  'issuedCertificate',
  'signature',
  '\\u0000',
  '\\ud800',
  ',O=Evil',
  '../../../tools/fuzz/',
];

const defaults = { extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'], validityDays: 365 };
const profile = {
  subject: 'CN=${DEVICE_SERIAL_NUMBER:USER_EMAIL},O=Example',
  subjectAltNames: [{ type: 'uri', value: 'urn:x:${DEVICE_DIRECTORY_ID:USER_EMAIL}' }],
  keyUsages: ['digitalSignature'],
  ...defaults,
} as const;

/** Google's record of a process, as far as the CSR that is made of it. */
export const process: Door = {
  name: 'process',
  form: 'json',
  seeds: [generic, scep, { ...generic, failureMessage: '' }].map((json) =>
    bytesOf(JSON.stringify(json)),
  ),
  dictionary,
  generated: fc.json().map(bytesOf),
  enter(input) {
    const process = narrowProcess(parsed(input));
    const { subject } = process;
    if (subject === undefined || process.profile === undefined) return 'without subject or profile';
    const wanted =
      process.profile.kind === 'scep'
        ? wantedFromScepProfile(process.profile.scep, defaults, subject)
        : wantedFromProfile(profile, subject);
    return request(process, wanted);
  },
  isRefusal: (error) =>
    error instanceof ProvisioningError &&
    /^(google-bad-answer|name-(empty|invalid|unresolved)|key-unsupported|signature-invalid)$/.test(
      error.code,
    ),
};

/** What was asked for has to stand in the request as it was meant. */
function request(process: ProvisioningProcess, wanted: RequestedCertificate): string {
  const { subjectPublicKeyInfo, signData, signature } = process;
  if (subjectPublicKeyInfo === undefined) return 'without a key';
  const { keyType } = algorithmOfKey(subjectPublicKeyInfo);
  const info = certificationRequestInfo({ subjectPublicKeyInfo, wanted, additions: {} });
  const facts = readCertificationRequest(certificationRequest(info, keyType, new Uint8Array(8)));
  demand(!facts.verified, 'a request without a signature is verified');
  demand(sameName(facts.subject, wanted.subject), `other names: ${formatName(facts.subject)}`);
  const names = facts.subjectAltNames.map(({ type, value }) => `${type} ${value}`);
  for (const { type, value } of wanted.subjectAltNames) {
    demand(names.includes(`${type} ${value}`), `${type} ${JSON.stringify(value)} gets lost`);
  }
  demand(names.length === wanted.subjectAltNames.length, `names are added: ${names.join()}`);
  if (signData !== undefined && signature !== undefined) {
    verifySignature(signData, signature, subjectPublicKeyInfo);
    demand(isOfSeeds(keyType, signData), 'a signature verifies that nobody made');
  }
  return `request ${keyType}`;
}

function isOfSeeds(keyType: KeyType, signData: Uint8Array): boolean {
  return Buffer.compare(signData, seeds[keyType].info) === 0;
}

const operationSeeds = [
  { name: `${name}/operations/0`, metadata: { '@type': 'x', startTime: '2026' } },
  { name: `${name}/operations/0`, done: true, error: { code: 3, message: 'no' } },
  {
    name: `${name}/operations/0`,
    done: true,
    response: { '@type': 'x', certificateProvisioningProcess: scep },
  },
];

/** Google's operation. Its name becomes part of a URL. */
export const operation: Door = {
  name: 'operation',
  form: 'json',
  seeds: operationSeeds.map((json) => bytesOf(JSON.stringify(json))),
  dictionary: [
    ...dictionary,
    '/operations/',
    'done',
    'error',
    'response',
    '..',
    '/../',
    '?',
    '#',
    '%2f',
  ],
  generated: fc.json().map(bytesOf),
  enter(input) {
    const read = narrowOperation(parsed(input));
    const { pathname } = new URL(`https://host/v1/${read.name}`);
    demand(pathname === `/v1/${read.name}`, `a name that leads elsewhere: ${read.name}`);
    return read.kind;
  },
  isRefusal: (error) => error instanceof GoogleError && error.code === 'google-bad-answer',
};

/** The door stands behind JSON.parse: what is not JSON does not come this far. */
function parsed(input: Uint8Array): unknown {
  try {
    return JSON.parse(textOf(input));
  } catch (error) {
    throw new GoogleError('google-bad-answer', 'This is not JSON.', {
      unclear: false,
      cause: error,
    });
  }
}
