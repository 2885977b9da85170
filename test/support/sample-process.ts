import { DeviceKey } from '../../conformance/device-key.ts';
import { GoogleError, type GoogleErrorOptions } from '../../src/errors.ts';
import type { ProvisioningProcess } from '../../src/google/process.ts';
import type { OrderFacts, ProcessRecord, SigningFacts } from '../../src/journal/process-record.ts';
import type { Issuance } from '../../src/plug-in/certificate-authority.ts';
import { certificationRequestInfo } from '../../src/possession/certification-request.ts';
import { type CertificateProfile, wantedFromProfile } from '../../src/profile/profile.ts';
import { nameOfProfile } from '../../src/profile/profile-name.ts';
import { requestIdOf } from '../../src/visit/issue-request.ts';
import { SigningCa } from './signing-ca.ts';

/*
 * A process in each of its stages, as the journal holds it, and what Google, its device and its CA say of it. The
 * keys, signatures and certificates are real.
 */

export const key = new DeviceKey('ec');
export const ca = new SigningCa('Example');

export const wifi: CertificateProfile = {
  subject: 'CN=${DEVICE_SERIAL_NUMBER}',
  subjectAltNames: [],
  keyUsages: ['digitalSignature'],
  extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'],
  validityDays: 365,
};

export const subject = { kind: 'device', serialNumber: '5CD1234' } as const;

/** Google's record of the process, new but for the changes. */
export function google(changes: Partial<ProvisioningProcess> = {}): ProvisioningProcess {
  return {
    name: 'customers/C1/certificateProvisioningProcesses/process-1',
    subjectPublicKeyInfo: key.subjectPublicKeyInfo,
    authority: 'ca',
    profile: { kind: 'generic', reference: 'wifi' },
    subject,
    ...changes,
  };
}

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
const wanted = wantedFromProfile(wifi, subject);

const request = {
  subjectPublicKeyInfo: base64(key.subjectPublicKeyInfo),
  keyType: 'ec',
  authority: 'ca',
  profile: nameOfProfile('wifi', wifi),
  subject,
  wanted,
} as const;

/** The CSR's bytes that the device is asked to sign, and the CSR that comes of it. */
export const toBeSigned = certificationRequestInfo({
  subjectPublicKeyInfo: key.subjectPublicKeyInfo,
  wanted,
});
export const csr = key.request(wanted);

const signing: SigningFacts = {
  toBeSigned: base64(toBeSigned),
  algorithm: 'SIGNATURE_ALGORITHM_ECDSA_SHA256',
  intendedAt: 1,
  polls: 0,
};
const called: SigningFacts = { ...signing, calledAt: 1, calledAge: 0, operation: 'operations/1' };
const { toBeSigned: _completed, ...signed } = called;

const order: OrderFacts = {
  number: 1,
  requestId: requestIdOf('process-1', 1),
  intendedAt: 1,
  intendedAge: 0,
  polls: 0,
};

export const intended: ProcessRecord = {
  request,
  claim: { callerInstanceId: 'instance-0', intendedAt: 1 },
};
export const claimed: ProcessRecord = {
  request,
  claim: { callerInstanceId: 'instance-0', intendedAt: 1, claimedAt: 1 },
};
/** signData was meant to be called, and may have been. */
export const asking: ProcessRecord = { ...claimed, signing };
/** The device was asked. */
export const asked: ProcessRecord = { ...claimed, signing: called };
export const proven: ProcessRecord = { ...claimed, signing: signed, csr: base64(csr) };
/** The CA was meant to be asked, and may have been. */
export const ordering: ProcessRecord = { ...proven, order: { ...order, asking: true } };
/** The CA has the order in hand. */
export const pending: ProcessRecord = { ...proven, order: { ...order, ticket: 'ticket-1' } };

/** A certificate as it was ordered, but for the changes. */
export function certificate(instead: Parameters<SigningCa['sign']>[1] = {}): Uint8Array {
  return ca.sign(csr, instead);
}

export function issuance(der: Uint8Array = certificate()): Issuance {
  return { kind: 'issued', certificate: der, chain: [ca.issuing] };
}

/** A certificate is written down. */
export function received(der: Uint8Array = certificate()): ProcessRecord {
  const issued = { certificate: base64(der), chain: [base64(ca.issuing)], issuedAt: 1 };
  return { ...proven, order, issued };
}

/** What Google says, or does not. */
const statuses = {
  'google-rejected': 400,
  'google-forbidden': 403,
  'google-not-found': 404,
  'google-throttled': 429,
  'google-unavailable': 502,
} as const;

export function googleSays(
  code: keyof typeof statuses,
  options: Partial<GoogleErrorOptions> = {},
): GoogleError {
  const status = statuses[code];
  return new GoogleError(code, `Google says ${status}.`, { status, unclear: false, ...options });
}

/** A call whose answer was lost: it may have been carried out. */
export const lostAnswer = () => googleSays('google-unavailable', { unclear: true });
