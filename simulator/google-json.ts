/*
 * Google's JSON, field by field in the order of its published sample (test/fixtures/sign-data-sample.json).
 */
import {
  directoryId,
  processName,
  profileId,
  type SignatureAlgorithm,
  type SimulatedProcess,
  serialNumber,
  userEmail,
} from './simulated-process.ts';

const typeRoot = 'type.googleapis.com/google.chrome.management.versions.v1';

type Json = Record<string, unknown>;

/** What the JSON depends on beside the process itself. */
export interface JsonContext {
  readonly seed: number;
  readonly scepPlaceholders: 'expanded' | 'raw';
}

export function keyAlgorithm(process: SimulatedProcess): SignatureAlgorithm {
  return process.key.kind === 'rsa'
    ? 'SIGNATURE_ALGORITHM_RSA_PKCS1_V1_5_SHA256'
    : 'SIGNATURE_ALGORITHM_ECDSA_SHA256';
}

/** The CertificateProvisioningProcess as `get` answers it. */
export function processJson(process: SimulatedProcess, context: JsonContext): Json {
  const scep = process.spec.profile === 'scep';
  const algorithm = process.signatureAlgorithm ?? (scep ? keyAlgorithm(process) : undefined);
  const json: Json = {
    name: processName(process),
    provisioningProfileId: profileId(context.seed, process),
    subjectPublicKeyInfo: process.key.spkiBase64,
    ...subjectJson(process, context),
    startTime: timestamp(process.startedAtMs),
    ...(process.signData === undefined ? {} : { signData: process.signData }),
    ...(algorithm === undefined ? {} : { signatureAlgorithm: algorithm }),
    ...(process.signature === undefined ? {} : { signature: process.signature }),
    ...(process.certificatePem === undefined ? {} : { issuedCertificate: process.certificatePem }),
    ...(process.failureMessage === undefined ? {} : { failureMessage: process.failureMessage }),
    ...profileJson(process, context),
  };
  for (const field of process.spec.omit) delete json[field];
  return json;
}

/** The signData operation; `number` counts them from 0. */
export function operationJson(
  process: SimulatedProcess,
  number: number,
  context: JsonContext,
): Json {
  const json: Json = {
    name: `${processName(process)}/operations/${number}`,
    metadata: {
      '@type': `${typeRoot}.SignDataMetadata`,
      startTime: timestamp(process.operationStartedAtMs ?? process.startedAtMs),
    },
  };
  if (process.operationError !== undefined) {
    return { ...json, done: true, error: process.operationError };
  }
  if (process.signature === undefined) return json;
  return {
    ...json,
    done: true,
    response: {
      '@type': `${typeRoot}.SignDataResponse`,
      certificateProvisioningProcess: processJson(process, context),
    },
  };
}

const statusNames: Readonly<Record<number, string>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  409: 'ALREADY_EXISTS',
  429: 'RESOURCE_EXHAUSTED',
  500: 'INTERNAL',
  503: 'UNAVAILABLE',
};

/** Google's error form. */
export function errorJson(code: number, message: string): Json {
  const status = statusNames[code];
  return { error: { code, message, ...(status === undefined ? {} : { status }) } };
}

/** RFC 3339 with microseconds, as Google prints it. */
function timestamp(atMs: number): string {
  return new Date(atMs).toISOString().replace('Z', '000Z');
}

function subjectJson(process: SimulatedProcess, context: JsonContext): Json {
  const chromeOsDevice = {
    deviceDirectoryApiId: directoryId(context.seed, process),
    serialNumber: serialNumber(process),
  };
  if (process.spec.subject === 'device') return { chromeOsDevice };
  return {
    chromeOsUserSession: {
      userDirectoryApiId: String(100_000_000_000 + process.index),
      userPrimaryEmail: userEmail(process),
      ...(process.spec.managedDevice ? { chromeOsDevice } : {}),
    },
  };
}

function profileJson(process: SimulatedProcess, context: JsonContext): Json {
  const { spec } = process;
  const connection = { caConnectionAdapterConfigReference: spec.caConnection };
  if (spec.profile === 'scep') {
    return { scepCaConnection: connection, scepProfile: scepProfileJson(process, context) };
  }
  const reference =
    spec.profileReference ?? (spec.subject === 'user' ? 'user_profile' : 'device_profile');
  return {
    genericCaConnection: connection,
    genericProfile: { profileAdapterConfigReference: reference },
  };
}

function scepProfileJson(process: SimulatedProcess, context: JsonContext): Json {
  const user = process.spec.subject === 'user';
  const profile = {
    certificateTemplateName: 'ChromeOSWiFi',
    subjectCommonName: user ? '${USER_EMAIL}' : '${DEVICE_SERIAL_NUMBER}',
    organization: 'Simulator',
    organizationalUnits: ['Chromebooks'],
    locality: 'Zurich',
    state: 'ZH',
    country: 'CH',
    keyUsages: ['KEY_USAGE_SIGNING', 'KEY_USAGE_KEY_ENCIPHERMENT'],
    subjectAltNames: [
      user
        ? { type: 'RFC822_NAME', value: '${USER_EMAIL}' }
        : { type: 'DNS_NAME', value: '${DEVICE_SERIAL_NUMBER}.simulator.example' },
    ],
    ...process.spec.scepProfile,
  };
  if (context.scepPlaceholders === 'raw') return profile;
  const email = user ? userEmail(process) : '';
  const values: Readonly<Record<string, string>> = {
    USER_EMAIL: email,
    USER_EMAIL_NAME: email.split('@')[0] ?? '',
    USER_EMAIL_DOMAIN: email.split('@')[1] ?? '',
    DEVICE_SERIAL_NUMBER: serialNumber(process),
    DEVICE_DIRECTORY_ID: directoryId(context.seed, process),
  };
  return JSON.parse(
    JSON.stringify(profile).replace(/\$\{([A-Z_:]+)\}/g, (whole, names: string) => {
      const found = names.split(':').find((name) => (values[name] ?? '') !== '');
      return found === undefined ? whole : (values[found] ?? '');
    }),
  );
}
