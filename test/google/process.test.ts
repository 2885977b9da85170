import { createPublicKey, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { GoogleError } from '../../src/errors.ts';
import { narrowProcess } from '../../src/google/process.ts';

const sample = JSON.parse(
  readFileSync(new URL('../fixtures/sign-data-sample.json', import.meta.url), 'utf8'),
);
const signed = sample.succeeded.response.certificateProvisioningProcess;
const name = 'customers/C0/certificateProvisioningProcesses/p1';

describe('narrowing a process', () => {
  it('reads Google’s published sample', () => {
    const process = narrowProcess(signed);
    expect(process).toMatchObject({
      name: signed.name,
      provisioningProfileId: '43b413f9-5ecd-4bf6-b431-f2df56ce852e',
      authority: 'default_ca_config',
      profile: { kind: 'generic', reference: 'device_profile' },
      subject: {
        kind: 'device',
        deviceDirectoryApiId: 'abcdefgh-ijkl-mnop-qrst-uvwxyz0123456',
        serialNumber: '0123456789',
      },
      startTime: '2025-03-07T13:38:54.930621Z',
      signatureAlgorithm: 'SIGNATURE_ALGORITHM_RSA_PKCS1_V1_5_SHA256',
    });
    expect(Buffer.from(process.signData!).toString()).toBe('data to sign\n');
    const key = createPublicKey({
      key: Buffer.from(process.subjectPublicKeyInfo!),
      format: 'der',
      type: 'spki',
    });
    expect(verify('sha256', process.signData!, key, process.signature!)).toBe(true);
    expect(process).not.toHaveProperty('failureMessage');
    expect(narrowProcess(sample.beforeSignData)).not.toHaveProperty('signData');
  });

  it('reads a user with a SCEP profile', () => {
    const process = narrowProcess({
      name,
      scepCaConnection: { caConnectionAdapterConfigReference: 'wifi' },
      scepProfile: {
        certificateTemplateName: 'User',
        subjectCommonName: '${USER_EMAIL}',
        organization: 'School',
        organizationalUnits: ['A', 'B'],
        country: 'CH',
        keyUsages: ['KEY_USAGE_SIGNING', 'KEY_USAGE_KEY_ENCIPHERMENT', 'KEY_USAGE_NEW'],
        subjectAltNames: [
          { type: 'DNS_NAME', value: 'a.example' },
          { type: 'RFC822_NAME', value: 'a@b.example' },
          { type: 'OTHER_NAME_USER_PRINCIPAL_NAME', value: 'a@b.example' },
          { type: 'UNIFORM_RESOURCE_IDENTIFIER', value: 'urn:a' },
          { type: 'SUBJECT_ALT_NAME_TYPE_UNSPECIFIED', value: 'x' },
          { type: 'DNS_NAME' },
        ],
      },
      chromeOsUserSession: {
        userDirectoryApiId: '1',
        userPrimaryEmail: 'a@b.example',
        chromeOsDevice: { serialNumber: 'S1' },
      },
    });
    expect(process).toEqual({
      name,
      authority: 'wifi',
      profile: {
        kind: 'scep',
        scep: {
          certificateTemplateName: 'User',
          subjectCommonName: '${USER_EMAIL}',
          organization: 'School',
          organizationalUnits: ['A', 'B'],
          country: 'CH',
          keyUsages: ['SIGNING', 'KEY_ENCIPHERMENT'],
          subjectAltNames: [
            { type: 'dns', value: 'a.example' },
            { type: 'email', value: 'a@b.example' },
            { type: 'upn', value: 'a@b.example' },
            { type: 'uri', value: 'urn:a' },
          ],
        },
      },
      subject: {
        kind: 'user',
        userDirectoryApiId: '1',
        userPrimaryEmail: 'a@b.example',
        serialNumber: 'S1',
      },
    });
  });

  it('takes unknown fields, unknown enums, null and empty strings as absent', () => {
    expect(
      narrowProcess({
        name,
        somethingNew: { a: 1 },
        signatureAlgorithm: 'SIGNATURE_ALGORITHM_NEW',
        signature: '',
        startTime: null,
        scepProfile: null,
        genericCaConnection: {},
        genericProfile: { profileAdapterConfigReference: '' },
        chromeOsDevice: {},
      }),
    ).toEqual({ name, subject: { kind: 'device' } });
  });

  it('takes an empty failure message as a failure', () => {
    expect(narrowProcess({ name, failureMessage: '' }).failureMessage).toBe('');
  });

  it.each(['@@', 'AAA', 'AAB=', 'AA-_', 'AAAA\n'])(
    'leaves out a public key that is not base64: %j',
    (subjectPublicKeyInfo) => {
      expect(narrowProcess({ name, subjectPublicKeyInfo })).toEqual({ name });
    },
  );

  it.each([
    ['no object', null],
    ['an array', []],
    ['no name', {}],
    ['a name of another type', { name: 1 }],
    ['a number for a string', { name, startTime: 1 }],
    ['a number for a key', { name, subjectPublicKeyInfo: 1 }],
    ['a failure that is no text', { name, failureMessage: {} }],
    ['a signature that is not base64', { name, signature: 'AAA' }],
    ['both CA connections', { name, genericCaConnection: {}, scepCaConnection: {} }],
    ['both profiles', { name, genericProfile: {}, scepProfile: {} }],
    ['both subjects', { name, chromeOsDevice: {}, chromeOsUserSession: {} }],
    ['a profile that is a string', { name, genericProfile: 'x' }],
    ['units that are no array', { name, scepProfile: { organizationalUnits: 'x' } }],
    ['a unit that is no string', { name, scepProfile: { organizationalUnits: [1] } }],
    ['a SAN that is no object', { name, scepProfile: { subjectAltNames: ['x'] } }],
    ['a device of another type', { name, chromeOsUserSession: { chromeOsDevice: 1 } }],
  ])('refuses %s as a bad answer', (_what, json) => {
    try {
      narrowProcess(json);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(GoogleError);
      expect(error).toMatchObject({ code: 'google-bad-answer', unclear: false });
    }
  });
});
