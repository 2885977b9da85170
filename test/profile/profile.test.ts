import { describe, expect, it } from 'vitest';
import { ProvisioningError } from '../../src/errors.ts';
import {
  type CertificateProfile,
  checkTemplate,
  type SidWish,
  type TemplatePlace,
  wantedFromProfile,
  wantedFromScepProfile,
} from '../../src/profile/profile.ts';
import type { Subject } from '../../src/request/requested-certificate.ts';
import type { ScepProfile } from '../../src/request/scep-profile.ts';
import type { SubjectAltName } from '../../src/x509/alt-name-form.ts';
import { formatName } from '../../src/x509/distinguished-name.ts';

const device: Subject = {
  kind: 'device',
  deviceDirectoryApiId: 'dir-1',
  serialNumber: 'SN123',
};
const user: Subject = {
  kind: 'user',
  userDirectoryApiId: 'user-1',
  userPrimaryEmail: 'ada@example.com',
};

function profile(changes: Partial<CertificateProfile>): CertificateProfile {
  return {
    subject: 'CN=${DEVICE_SERIAL_NUMBER}',
    subjectAltNames: [],
    keyUsages: ['digitalSignature'],
    extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'],
    validityDays: 365,
    ...changes,
  };
}

const subjectOf = (template: string, subject: Subject) =>
  formatName(wantedFromProfile(profile({ subject: template }), subject).subject);

const altNameOf = (type: SubjectAltName['type'], value: string, subject: Subject) =>
  wantedFromProfile(profile({ subject: '', subjectAltNames: [{ type, value }] }), subject)
    .subjectAltNames[0]?.value;

function refusal(action: () => unknown): { code: string; message: string } {
  try {
    action();
  } catch (error) {
    if (error instanceof ProvisioningError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error('Nothing was refused.');
}

describe('a profile’s subject', () => {
  it.each<[string, Subject, string]>([
    ['CN=${DEVICE_SERIAL_NUMBER},O=Example', device, 'CN=SN123,O=Example'],
    ['CN=${DEVICE_DIRECTORY_ID}', device, 'CN=dir-1'],
    ['CN=${USER_EMAIL}', user, 'CN=ada@example.com'],
    [
      'CN=${USER_EMAIL_NAME}+UID=${USER_DIRECTORY_ID},DC=${USER_EMAIL_DOMAIN}',
      user,
      'CN=ada+UID=user-1,DC=example.com',
    ],
    ['CN=${DEVICE_SERIAL_NUMBER:USER_EMAIL}', device, 'CN=SN123'],
    ['CN=${DEVICE_SERIAL_NUMBER:USER_EMAIL}', user, 'CN=ada@example.com'],
    ['CN=dev-${DEVICE_SERIAL_NUMBER}-${DEVICE_DIRECTORY_ID}', device, 'CN=dev-SN123-dir-1'],
    ['CN=$5 {a} ${USER_EMAIL}', user, 'CN=$5 {a} ada@example.com'],
    [
      'CN=${USER_EMAIL:DEVICE_SERIAL_NUMBER}',
      { ...device, kind: 'user', userPrimaryEmail: '  ' },
      'CN=SN123',
    ],
    ['CN=a\\, b', device, 'CN=a\\, b'],
  ])('%s', (template, subject, expected) => {
    expect(subjectOf(template, subject)).toBe(expected);
  });

  it('never gets another part from a value', () => {
    const hostile = { ...device, serialNumber: 'x,O=Evil+OU=y\\,${USER_EMAIL}' };
    const { subject } = wantedFromProfile(
      profile({ subject: 'CN=${DEVICE_SERIAL_NUMBER},O=Good' }),
      hostile,
    );
    expect(subject).toEqual([
      [{ type: '2.5.4.10', value: 'Good' }],
      [{ type: '2.5.4.3', value: 'x,O=Evil+OU=y\\,${USER_EMAIL}' }],
    ]);
  });

  it.each<[string, string, Subject]>([
    ['name-empty', 'CN=${DEVICE_SERIAL_NUMBER}', user],
    ['name-empty', 'CN=dev-${DEVICE_SERIAL_NUMBER}', user],
    ['name-empty', 'CN=${USER_EMAIL:USER_DIRECTORY_ID}', device],
    ['name-empty', 'CN=${USER_EMAIL_DOMAIN}', { ...user, userPrimaryEmail: 'ada' }],
    ['name-empty', 'CN=${USER_EMAIL_NAME}', { ...user, userPrimaryEmail: '@example.com' }],
    ['name-empty', 'CN=${DEVICE_SERIAL_NUMBER}', { ...device, serialNumber: ' ' }],
    ['name-empty', '', device],
    ['name-invalid', 'CN=${DEVICE_SERIAL_NUMBER}', { ...device, serialNumber: 'a'.repeat(65) }],
    ['name-invalid', 'CN=${DEVICE_SERIAL_NUMBER}', { ...device, serialNumber: 'a\0b' }],
    ['name-invalid', 'CN=${DEVICE_SERIAL_NUMBER}', { ...device, serialNumber: 'a\ud800' }],
    ['name-invalid', 'serialNumber=${DEVICE_SERIAL_NUMBER}', { ...device, serialNumber: 'a_b' }],
    ['name-invalid', 'CN=${DEVICE_SERIAL_NUMBER', device],
    ['name-invalid', 'nonsense', device],
    ['name-unresolved', 'CN=${DEVICE_ASSET_ID}', device],
  ])('is refused with %s: %s', (code, template, subject) => {
    expect(refusal(() => subjectOf(template, subject)).code).toBe(code);
  });

  it('says which variable has no value, and for whom', () => {
    expect(refusal(() => subjectOf('CN=${DEVICE_SERIAL_NUMBER}', user)).message).toBe(
      'The subject’s CN: Google’s record of this user has no value for ${DEVICE_SERIAL_NUMBER}.',
    );
  });
});

describe('a profile’s alternative names', () => {
  it.each<[SubjectAltName['type'], string, Subject, string]>([
    ['dns', '${DEVICE_SERIAL_NUMBER}.example.com', device, 'SN123.example.com'],
    ['email', '${USER_EMAIL}', user, 'ada@example.com'],
    ['upn', '${USER_EMAIL_NAME}@corp.example', user, 'ada@corp.example'],
    ['uri', 'urn:device:${DEVICE_SERIAL_NUMBER}', device, 'urn:device:SN123'],
    [
      'uri',
      'urn:x:${DEVICE_SERIAL_NUMBER}',
      { ...device, serialNumber: "a/b?c#d e'ä" },
      'urn:x:a%2Fb%3Fc%23d%20e%27%C3%A4',
    ],
  ])('%s %s', (type, template, subject, expected) => {
    expect(altNameOf(type, template, subject)).toBe(expected);
  });

  it.each<[SubjectAltName['type'], string, Subject, string]>([
    [
      'dns',
      '${DEVICE_SERIAL_NUMBER}.example.com',
      { ...device, serialNumber: 'a b' },
      'name-invalid',
    ],
    ['dns', '${DEVICE_SERIAL_NUMBER}', { ...device, serialNumber: 'a\0.b' }, 'name-invalid'],
    ['email', '${USER_EMAIL}', { ...user, userPrimaryEmail: 'a@b,c@d' }, 'name-invalid'],
    [
      'email',
      '${USER_EMAIL_NAME}@x.example',
      { ...user, userPrimaryEmail: 'a@b@c' },
      'name-invalid',
    ],
    ['upn', '${USER_EMAIL}@corp', user, 'name-invalid'],
    ['uri', '${USER_EMAIL}', user, 'name-invalid'],
    ['uri', 'urn:${USER_EMAIL}', device, 'name-empty'],
    ['dns', ' ', device, 'name-empty'],
  ])('%s %j is refused', (type, template, subject, code) => {
    expect(refusal(() => altNameOf(type, template, subject)).code).toBe(code);
  });

  it('does not repeat a value of Google’s record in a refusal', () => {
    const { message } = refusal(() =>
      altNameOf('dns', '${DEVICE_SERIAL_NUMBER}', { ...device, serialNumber: 'secret value' }),
    );
    expect(message).toBe('Subject alternative name 1 (dns) is not a DNS name.');
  });

  it('are each there once', () => {
    const one = { type: 'dns', value: 'a.example' } as const;
    const { subjectAltNames } = wantedFromProfile(profile({ subjectAltNames: [one, one] }), device);
    expect(subjectAltNames).toEqual([one]);
  });

  it('are at most 32', () => {
    const many = Array.from({ length: 33 }, (_, i) => ({ type: 'dns', value: `a${i}` }) as const);
    expect(refusal(() => wantedFromProfile(profile({ subjectAltNames: many }), device)).code).toBe(
      'name-invalid',
    );
  });
});

it('passes on the rest of a profile', () => {
  expect(wantedFromProfile(profile({ template: 'WiFi', validityDays: 30 }), device)).toMatchObject({
    keyUsages: ['digitalSignature'],
    extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'],
    validityDays: 30,
    template: 'WiFi',
  });
  expect(wantedFromProfile(profile({}), device)).not.toHaveProperty('template');
});

describe('a SCEP profile', () => {
  const scep: ScepProfile = {
    organizationalUnits: [],
    keyUsages: ['SIGNING'],
    subjectAltNames: [],
  };
  const defaults = { extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'], validityDays: 90 };
  const from = (changes: Partial<ScepProfile>, subject: Subject = device) =>
    wantedFromScepProfile({ ...scep, ...changes }, defaults, subject);

  it('names everything in the usual order', () => {
    const wanted = from({
      certificateTemplateName: 'WiFi',
      subjectCommonName: '${DEVICE_SERIAL_NUMBER}',
      organization: 'Example, Inc.',
      organizationalUnits: ['A', '', 'B'],
      locality: 'Berlin',
      state: 'BE',
      country: 'DE',
      keyUsages: ['SIGNING', 'KEY_ENCIPHERMENT', 'SIGNING'],
      subjectAltNames: [{ type: 'dns', value: '${DEVICE_SERIAL_NUMBER}.example.com' }],
    });
    expect(formatName(wanted.subject)).toBe(
      'CN=SN123,OU=B,OU=A,O=Example\\, Inc.,L=Berlin,ST=BE,C=DE',
    );
    expect(wanted).toMatchObject({
      subjectAltNames: [{ type: 'dns', value: 'SN123.example.com' }],
      keyUsages: ['digitalSignature', 'keyEncipherment'],
      extendedKeyUsages: defaults.extendedKeyUsages,
      validityDays: 90,
      template: 'WiFi',
    });
  });

  it('keeps what Google has expanded as plain text', () => {
    const { subject } = from({ subjectCommonName: 'x,O=Evil' });
    expect(subject).toEqual([[{ type: '2.5.4.3', value: 'x,O=Evil' }]]);
  });

  it('uses a fallback behind an unknown variable', () => {
    const { subject } = from({ subjectCommonName: '${DEVICE_ASSET_ID:DEVICE_SERIAL_NUMBER}' });
    expect(formatName(subject)).toBe('CN=SN123');
  });

  it.each<[string, Partial<ScepProfile>]>([
    ['name-unresolved', { subjectCommonName: '${DEVICE_ASSET_ID}' }],
    ['name-unresolved', { subjectCommonName: '${DEVICE_ASSET_ID:USER_EMAIL}' }],
    ['name-empty', { subjectCommonName: '${USER_EMAIL}' }],
    ['name-empty', {}],
    ['name-empty', { subjectCommonName: ' ' }],
    ['name-empty', { subjectCommonName: 'a', subjectAltNames: [{ type: 'dns', value: '' }] }],
    ['name-invalid', { subjectCommonName: '${USER_EMAIL' }],
    ['name-invalid', { subjectCommonName: 'a', country: 'Germany' }],
    ['name-invalid', { subjectCommonName: 'a', certificateTemplateName: 'a\u0007' }],
    ['name-invalid', { subjectCommonName: 'a', certificateTemplateName: '😀' }],
    ['name-invalid', { subjectCommonName: 'a', certificateTemplateName: 'a'.repeat(300) }],
  ])('is refused with %s: %j', (code, changes) => {
    expect(refusal(() => from(changes)).code).toBe(code);
  });
});

describe('checkTemplate', () => {
  it.each<[TemplatePlace, string]>([
    ['subject', 'CN=${DEVICE_SERIAL_NUMBER},O=Example'],
    ['subject', ''],
    ['dns', '${DEVICE_SERIAL_NUMBER}.example.com'],
    ['email', '${USER_EMAIL}'],
    ['upn', '${USER_EMAIL:USER_DIRECTORY_ID}'],
    ['uri', 'urn:a'],
  ])('finds nothing wrong with the %s %j', (place, template) => {
    expect(checkTemplate(template, place)).toBeUndefined();
  });

  it.each<[TemplatePlace, string, string]>([
    ['subject', 'CN=${DEVICE_SERIAL}', 'Is DEVICE_SERIAL_NUMBER meant?'],
    ['subject', 'CN=${user_email}', 'Is USER_EMAIL meant?'],
    ['subject', 'CN=${USER_EMAIL', 'The ${ at position 4 is not closed; add }.'],
    ['subject', 'CN=${}', '“” is no variable.'],
    ['subject', 'CN=${USER_EMAIL:}', '“” is no variable.'],
    ['subject', 'CN=${constructor}', '“constructor” is no variable.'],
    ['subject', '${USER_EMAIL}', 'CN=…'],
    ['subject', 'XN=a', 'Is CN meant?'],
    ['subject', `CN=${'a'.repeat(65)}`, '64 are allowed'],
    ['subject', 'CN=${USER_EMAIL},C=Germany', 'C has 7 characters'],
    ['dns', '', 'It is empty.'],
    ['dns', 'a b', '“a b” is not a DNS name.'],
    ['email', '${USER_MAIL}', 'Is USER_EMAIL meant?'],
    ['uri', 'x'.repeat(5000), 'longer'],
  ])('%s %j', (place, template, problem) => {
    expect(checkTemplate(template, place)).toContain(problem);
  });
});

describe('a profile’s SID', () => {
  const sid = 'S-1-5-21-1111111111-222222222-333333333-1001';
  const uri = { type: 'uri', value: `tag:microsoft.com,2022-09-14:sid:${sid}` };
  const wish = (changes: Partial<SidWish>): SidWish => ({
    source: { sidOf: (subject) => (subject.kind === 'user' ? sid : undefined) },
    form: 'extension',
    unknown: 'refuse',
    ...changes,
  });
  const wantedWith = (changes: Partial<SidWish>, subject: Subject) =>
    wantedFromProfile(profile({ subject: 'CN=x', sid: wish(changes) }), subject);

  it.each([
    ['extension', [], sid],
    ['uri', [uri], undefined],
    ['both', [uri], sid],
  ] as const)('becomes part of the certificate (%s)', (form, subjectAltNames, extension) => {
    const wanted = wantedWith({ form }, user);
    expect(wanted.subjectAltNames).toEqual(subjectAltNames);
    expect(wanted.securityIdentifier).toBe(extension);
  });

  it('that is not known ends the process, or is left out', () => {
    expect(refusal(() => wantedWith({}, device)).code).toBe('sid-unknown');
    const wanted = wantedWith({ unknown: 'omit', form: 'both' }, device);
    expect(wanted).toMatchObject({ subjectAltNames: [] });
    expect(wanted).not.toHaveProperty('securityIdentifier');
  });

  it('is never made of what Google’s record says', () => {
    const posing: Subject = { kind: 'user', userPrimaryEmail: `${sid}@example.com` };
    const templates = [
      'tag:microsoft.com,2022-09-14:sid:${USER_EMAIL_NAME}',
      'TAG:microsoft.com,2022-09-14:SID:${USER_EMAIL_NAME}',
    ];
    for (const template of templates) {
      expect(refusal(() => altNameOf('uri', template, posing))).toMatchObject({
        code: 'name-invalid',
        message: expect.stringContaining('sid.file'),
      });
    }
    expect(altNameOf('uri', uri.value, user)).toBe(uri.value);
  });
});
