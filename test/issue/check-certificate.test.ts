import { beforeAll, describe, expect, it } from 'vitest';
import { ProvisioningError } from '../../src/errors.ts';
import type { DroppablePart, RequestedCertificate } from '../../src/issue/certificate-authority.ts';
import { type CheckRequest, checkCertificate } from '../../src/issue/check-certificate.ts';
import { parseName } from '../../src/x509/distinguished-name.ts';
import { microsoftOid, sidExtension, sidUri } from '../../src/x509/microsoft-extensions.ts';
import {
  type Authority,
  dayMs,
  type KeyPair,
  type LeafOptions,
  makeCa,
  makeLeaf,
  newKeys,
  now,
  publicKeyInfo,
  x509,
} from '../x509/test-certificates.ts';

const clientAuth = '1.3.6.1.5.5.7.3.2';
const serverAuth = '1.3.6.1.5.5.7.3.1';
const smartcardLogon = '1.3.6.1.4.1.311.20.2.2';
const { digitalSignature, keyEncipherment, keyCertSign, cRLSign } = x509.KeyUsageFlags;

const wanted: RequestedCertificate = {
  subject: parseName('CN=device-1,O=Example'),
  subjectAltNames: [
    { type: 'dns', value: 'device-1.example.com' },
    { type: 'upn', value: 'device-1@example.com' },
  ],
  keyUsages: ['digitalSignature'],
  extendedKeyUsages: [clientAuth],
  validityDays: 365,
};

let root: Authority;
let issuing: Authority;
let keys: KeyPair;
let subjectPublicKeyInfo: Uint8Array;

beforeAll(async () => {
  root = await makeCa();
  issuing = await makeCa({ name: 'CN=Issuing', parent: root });
  keys = await newKeys();
  subjectPublicKeyInfo = await publicKeyInfo(keys);
});

const asked: x509.JsonGeneralNames = [
  { type: 'dns', value: 'device-1.example.com' },
  { type: 'upn', value: 'device-1@example.com' },
];

/** The certificate that was asked for, but for the changes. */
function leafWith(changes: Partial<LeafOptions> = {}): Promise<Uint8Array> {
  return makeLeaf(issuing, {
    keys,
    keyUsage: digitalSignature,
    extendedKeyUsages: [clientAuth],
    subjectAltNames: asked,
    ...changes,
  });
}

/** `ok`, or the code with which it is refused. */
function outcome(certificate: Uint8Array, changes: Partial<CheckRequest> = {}): string {
  return refusal(certificate, changes)?.code ?? 'ok';
}

function refusal(certificate: Uint8Array, changes: Partial<CheckRequest> = {}) {
  const request = {
    certificate,
    chain: [issuing.der],
    subjectPublicKeyInfo,
    wanted,
    roots: [root.der],
    mayDrop: [],
    now,
    ...changes,
  };
  try {
    checkCertificate(request);
    return undefined;
  } catch (error) {
    if (error instanceof ProvisioningError) return error;
    throw error;
  }
}

describe('a certificate as it was asked for', () => {
  it('passes, and its facts come back', async () => {
    const certificate = await leafWith();
    const facts = checkCertificate({
      certificate,
      chain: [issuing.der],
      subjectPublicKeyInfo,
      wanted,
      roots: [root.der],
      mayDrop: [],
      now,
    });
    expect(facts).toMatchObject({ serialNumber: '0A1B', notAfter: now + 365 * dayMs });
  });

  it.each<[string, Partial<LeafOptions>]>([
    ['with its parts in another order', { subject: [{ CN: ['device-1'] }, { O: ['Example'] }] }],
    ['with its parts in one set', { subject: [{ CN: ['device-1'], O: ['Example'] }] }],
    ['in other letters', { subject: [{ O: ['EXAMPLE'] }, { CN: ['Device-1'] }] }],
    ['with basicConstraints that say it is none', { isCa: false }],
    [
      'with more usages',
      { keyUsage: digitalSignature | keyEncipherment, extendedKeyUsages: [clientAuth, serverAuth] },
    ],
    ['with any extended key usage', { extendedKeyUsages: ['2.5.29.37.0'] }],
    ['by a clock five minutes ahead', { notBefore: now + 4 * 60_000 }],
    ['without an end', { notAfter: Date.UTC(9999, 11, 31, 23, 59, 59) }],
    ['with just over a day left', { notAfter: now + dayMs + 1000 }],
    ['with its names in another order', { subjectAltNames: asked.toReversed() }],
    [
      'with the host name in other letters',
      { subjectAltNames: [{ type: 'dns', value: 'Device-1.Example.com' }, ...asked.slice(1)] },
    ],
  ])('passes %s', async (_, changes) => {
    expect(outcome(await leafWith(changes))).toBe('ok');
  });
});

describe('a certificate that is not what was asked for', () => {
  it.each<[string, string, Partial<LeafOptions>]>([
    ['certificate-is-ca', 'a CA', { isCa: true }],
    [
      'certificate-is-ca',
      'that may sign certificates',
      { keyUsage: digitalSignature | keyCertSign },
    ],
    [
      'certificate-is-ca',
      'that may sign revocation lists',
      { keyUsage: digitalSignature | cRLSign },
    ],
    ['certificate-not-valid-now', 'expired', { notBefore: now - 9 * dayMs, notAfter: now - 1000 }],
    ['certificate-not-valid-now', 'of the future', { notBefore: now + 6 * 60_000 }],
    ['certificate-not-valid-now', 'that ends before it begins', { notAfter: now - 2 * 60_000 }],
    ['certificate-not-valid-now', 'for two hundred years', { notAfter: now + 200 * 365 * dayMs }],
    ['certificate-too-short', 'for a day', { notAfter: now + dayMs }],
    ['certificate-wrong-usage', 'for servers', { extendedKeyUsages: [serverAuth] }],
    ['certificate-wrong-usage', 'without extended key usage', { extendedKeyUsages: undefined }],
    ['certificate-wrong-usage', 'without key usage', { keyUsage: undefined }],
    ['certificate-wrong-usage', 'with another key usage', { keyUsage: keyEncipherment }],
    [
      'certificate-wrong-names',
      'for another device',
      { subject: [{ O: ['Example'] }, { CN: ['device-2'] }] },
    ],
    [
      'certificate-wrong-names',
      'with a part too many',
      { subject: [{ O: ['Example'] }, { OU: ['x'] }, { CN: ['device-1'] }] },
    ],
    ['certificate-wrong-names', 'with a part too few', { subject: [{ CN: ['device-1'] }] }],
    [
      'certificate-wrong-names',
      'with a part twice',
      { subject: [{ O: ['Example'] }, { CN: ['device-1'] }, { CN: ['device-1'] }] },
    ],
    [
      'certificate-wrong-names',
      'with the attributes swapped',
      { subject: [{ CN: ['Example'] }, { O: ['device-1'] }] },
    ],
    ['certificate-wrong-names', 'without its names', { subjectAltNames: [] }],
    ['certificate-wrong-names', 'without one of its names', { subjectAltNames: asked.slice(1) }],
    [
      'certificate-wrong-names',
      'with a name too many',
      { subjectAltNames: [...asked, { type: 'email', value: 'boss@example.com' }] },
    ],
    [
      'certificate-wrong-names',
      'with an address besides',
      { subjectAltNames: [...asked, { type: 'ip', value: '10.0.0.1' }] },
    ],
    [
      'certificate-wrong-names',
      'with another principal name',
      { subjectAltNames: [...asked.slice(0, 1), { type: 'upn', value: 'boss@example.com' }] },
    ],
    [
      'certificate-wrong-names',
      'with a name of another type',
      { subjectAltNames: [...asked.slice(0, 1), { type: 'email', value: 'device-1@example.com' }] },
    ],
  ])('is refused as %s: %s', async (code, _, changes) => {
    expect(outcome(await leafWith(changes))).toBe(code);
  });

  it('is refused when it is for another key', async () => {
    expect(outcome(await leafWith({ keys: await newKeys() }))).toBe('certificate-wrong-key');
  });

  it.each([
    ['nothing', new Uint8Array()],
    ['text', Buffer.from('<html>')],
  ])('is refused when it is %s', (_, certificate) => {
    expect(outcome(certificate)).toBe('certificate-unreadable');
  });

  it('is refused when it has a second certificate behind it', async () => {
    const two = Buffer.concat([await leafWith(), issuing.der]);
    expect(outcome(two)).toBe('certificate-unreadable');
  });

  it('is refused when its chain is not certificates', async () => {
    const chain = [Buffer.from('3000', 'hex')];
    expect(outcome(await leafWith(), { chain })).toBe('certificate-unreadable');
  });

  it('is refused when the CA’s certificate comes in its place', () => {
    expect(outcome(issuing.der)).toBe('certificate-wrong-key');
  });

  it('says what was asked for and what came', async () => {
    const other = await leafWith({ subject: [{ CN: ['a\nb'] }] });
    expect(refusal(other)?.message).toBe(
      'The subject is "CN=a\\\\0Ab"; "CN=device-1,O=Example" was asked for.',
    );
    const server = await leafWith({ extendedKeyUsages: [serverAuth] });
    expect(refusal(server)?.message).toBe(
      'Extended key usage: "clientAuth" was asked for, and the certificate has "serverAuth".',
    );
    const names = await leafWith({ subjectAltNames: [{ type: 'ip', value: '10.0.0.1' }] });
    expect(refusal(names)?.message).toContain(
      'lacks "dns device-1.example.com", "upn device-1@example.com" and has "other IP address 0a000001", which was not asked for.',
    );
  });
});

describe('trust', () => {
  it('is refused without the intermediate, or under another root', async () => {
    const certificate = await leafWith();
    expect(outcome(certificate, { chain: [] })).toBe('certificate-untrusted');
    const other = await makeCa({ name: 'CN=Other' });
    expect(outcome(certificate, { roots: [other.der] })).toBe('certificate-untrusted');
  });

  it('is not asked for when no roots are configured', async () => {
    expect(outcome(await leafWith(), { roots: [], chain: [] })).toBe('ok');
  });
});

describe('what a CA may drop', () => {
  const twoUsages = { keyUsages: ['digitalSignature', 'keyEncipherment'] } as const;
  const twoExtended = { extendedKeyUsages: [clientAuth, smartcardLogon] } as const;

  it.each<[string, readonly DroppablePart[], Partial<LeafOptions>, Partial<RequestedCertificate>]>([
    ['a part of the subject', ['subject'], { subject: [{ CN: ['device-1'] }] }, {}],
    ['the whole subject', ['subject'], { subject: [] }, {}],
    ['a name', ['dns'], { subjectAltNames: asked.slice(1) }, {}],
    ['all names', ['dns', 'upn'], { subjectAltNames: [] }, {}],
    ['the key usage', ['keyUsages'], { keyUsage: undefined }, {}],
    ['one key usage', ['keyUsages'], {}, twoUsages],
    ['the extended key usage', ['extendedKeyUsages'], { extendedKeyUsages: undefined }, {}],
    ['one extended key usage', ['extendedKeyUsages'], {}, twoExtended],
  ])('%s may be missing', async (_, mayDrop, changes, more) => {
    const certificate = await leafWith(changes);
    const changed = { ...wanted, ...more };
    expect(outcome(certificate, { mayDrop, wanted: changed })).toBe('ok');
    expect(outcome(certificate, { mayDrop: [], wanted: changed })).not.toBe('ok');
  });

  it.each<[string, readonly DroppablePart[], Partial<LeafOptions>]>([
    ['another subject', ['subject'], { subject: [{ CN: ['boss'] }] }],
    [
      'an addition to the subject',
      ['subject'],
      { subject: [{ CN: ['device-1'] }, { CN: ['boss'] }] },
    ],
    [
      'another name',
      ['dns'],
      { subjectAltNames: [{ type: 'dns', value: 'other.example' }, ...asked.slice(1)] },
    ],
    ['a name that may not be dropped', ['upn'], { subjectAltNames: asked.slice(1) }],
    ['other key usages', ['keyUsages'], { keyUsage: keyEncipherment }],
    ['other extended key usages', ['extendedKeyUsages'], { extendedKeyUsages: [serverAuth] }],
  ])('%s may not be put in its place', async (_, mayDrop, changes) => {
    expect(outcome(await leafWith(changes), { mayDrop })).not.toBe('ok');
  });
});

it('accepts a certificate with nothing but names when nothing else was asked for', async () => {
  const certificate = await leafWith({ keyUsage: undefined, extendedKeyUsages: undefined });
  const bare = { ...wanted, keyUsages: [], extendedKeyUsages: [] };
  expect(outcome(certificate, { wanted: bare })).toBe('ok');
});

describe('a security identifier', () => {
  const sid = 'S-1-5-21-1111111111-222222222-333333333-1001';
  const withSid = (value: Uint8Array, names = asked) => {
    const extension = new x509.Extension(microsoftOid.securityIdentifier, false, value);
    return leafWith({ extensions: [extension], subjectAltNames: names });
  };
  const uri = { type: 'uri', value: sidUri(sid) } as const;
  const wantedWithSid = { ...wanted, subjectAltNames: [...wanted.subjectAltNames, uri] };
  const names: x509.JsonGeneralNames = [...asked, { type: 'url', value: sidUri(sid) }];

  it('that nobody asked for is another’s identity', async () => {
    const refused = refusal(await withSid(sidExtension(sid).value));
    expect(refused?.code).toBe('certificate-wrong-names');
    expect(refused?.message).toContain(sid);
  });

  it('that cannot be read is refused too', async () => {
    expect(outcome(await withSid(Buffer.from('3000', 'hex')))).toBe('certificate-wrong-names');
  });

  it('is good when it is the one that was asked for', async () => {
    const certificate = await withSid(sidExtension(sid).value, names);
    expect(outcome(certificate, { wanted: wantedWithSid })).toBe('ok');
    const other = await withSid(sidExtension(`${sid}0`).value, names);
    expect(outcome(other, { wanted: wantedWithSid })).toBe('certificate-wrong-names');
  });

  describe('that was asked for as an extension', () => {
    const asExtension = { ...wanted, securityIdentifier: sid };

    it('is good, and no other is', async () => {
      expect(outcome(await withSid(sidExtension(sid).value), { wanted: asExtension })).toBe('ok');
      const other = await withSid(sidExtension(`${sid}0`).value);
      expect(outcome(other, { wanted: asExtension })).toBe('certificate-wrong-names');
    });

    it('may not be missing, unless it was asked for as a URI, too, and is there as that', async () => {
      const found = refusal(await leafWith({}), { wanted: asExtension });
      expect(found?.code).toBe('certificate-wrong-names');
      expect(found?.message).toContain('sid.form to uri');
      const both = { ...wantedWithSid, securityIdentifier: sid };
      expect(outcome(await leafWith({ subjectAltNames: names }), { wanted: both })).toBe('ok');
    });
  });
});
