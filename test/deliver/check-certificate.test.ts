import { beforeAll, describe, expect, it } from 'vitest';
import { type CheckRequest, checkCertificate } from '../../src/deliver/check-certificate.ts';
import { checkPowers } from '../../src/deliver/check-powers.ts';
import { ProvisioningError } from '../../src/errors.ts';
import type { DroppablePart } from '../../src/plug-in/certificate-authority.ts';
import type { RequestedCertificate } from '../../src/request/requested-certificate.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { tag } from '../../src/x509/der.ts';
import { parseName } from '../../src/x509/distinguished-name.ts';
import { encode, encodeOid } from '../../src/x509/encode-der.ts';
import { microsoftOid, sidExtension, sidUri } from '../../src/x509/microsoft-extensions.ts';
import { brokenHashOf } from '../../src/x509/signature-hash.ts';
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
} from '../support/test-certificates.ts';

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

describe('a power that nobody asked for', () => {
  const enrolmentAgent = '1.3.6.1.4.1.311.20.2.1';
  const codeSigning = '1.3.6.1.5.5.7.3.3';
  const any = '2.5.29.37.0';
  const withUsages = (...oids: string[]) => leafWith({ extendedKeyUsages: [clientAuth, ...oids] });
  const withExtension = (type: string, critical: boolean, value = Buffer.of(5, 0)) =>
    leafWith({ extensions: [new x509.Extension(type, critical, value)] });

  it.each([
    ['enrolment agent', enrolmentAgent],
    ['smart-card logon', smartcardLogon],
    ['code signing', codeSigning],
    ['any usage', any],
    ['registration authority', '1.3.6.1.5.5.7.3.28'],
    ['OCSP signing', '1.3.6.1.5.5.7.3.9'],
    ['one that has no name here', '1.2.3.4.5'],
  ])('is refused: %s; unless it may be added or was asked for', async (_, oid) => {
    const certificate = await withUsages(oid);
    expect(outcome(certificate)).toBe('certificate-wrong-usage');
    expect(refusal(certificate)?.message).toMatch(/a power that nobody asked for.*mayAdd: \[/);
    expect(outcome(certificate, { mayAdd: [oid] })).toBe('ok');
    const asked = { ...wanted, extendedKeyUsages: [clientAuth, oid] };
    expect(outcome(certificate, { wanted: asked })).toBe('ok');
  });

  it('is refused in the place of what was asked for: any usage', async () => {
    const certificate = await leafWith({ extendedKeyUsages: [any] });
    expect(outcome(certificate)).toBe('certificate-wrong-usage');
    expect(outcome(certificate, { mayAdd: [any] })).toBe('ok');
  });

  it('is refused in Microsoft’s application policies, which Windows believes first', async () => {
    const policies = (oid: string) =>
      withExtension(microsoftOid.applicationPolicies, false, policySequence(clientAuth, oid));
    expect(outcome(await policies(enrolmentAgent))).toBe('certificate-wrong-usage');
    expect(outcome(await policies(enrolmentAgent), { mayAdd: [enrolmentAgent] })).toBe('ok');
    expect(outcome(await policies(serverAuth))).toBe('ok');
    const broken = await withExtension(microsoftOid.applicationPolicies, false, Buffer.of(4, 0));
    expect(outcome(broken)).toBe('certificate-unreadable');
  });

  it('is refused in an extension that is critical and unknown; otherwise it does no harm', async () => {
    expect(outcome(await withExtension('1.2.3.4', true))).toBe('certificate-wrong-usage');
    expect(outcome(await withExtension('1.2.3.4', true), { mayAdd: ['1.2.3.4'] })).toBe('ok');
    expect(outcome(await withExtension('1.2.3.4', false))).toBe('ok');
    // A precertificate (RFC 6962 3.1) is none.
    const poison = await withExtension('1.3.6.1.4.1.11129.2.4.3', true);
    expect(outcome(poison)).toBe('certificate-wrong-usage');
  });

  it('is refused in names of an old style, which are compared with nothing', async () => {
    for (const type of ['2.5.29.7', '2.5.29.8', '2.16.840.1.113730.1.12']) {
      expect(outcome(await withExtension(type, false))).toBe('certificate-wrong-names');
      expect(outcome(await withExtension(type, false), { mayAdd: [type] })).toBe('ok');
    }
    const address = { E: ['boss@example.com'] };
    const second = await leafWith({ subject: [{ O: ['Example'] }, { CN: ['device-1'] }, address] });
    expect(outcome(second)).toBe('certificate-wrong-names');
  });

  it('is refused in Netscape’s certificate type: a CA, a signer of programs', async () => {
    const type = (bits: number) =>
      withExtension('2.16.840.1.113730.1.1', false, Buffer.of(3, 2, 0, bits));
    expect(outcome(await type(0b1010_0000))).toBe('ok');
    expect(outcome(await type(0b1001_0000))).toBe('certificate-wrong-usage');
    expect(outcome(await type(0b1000_0100))).toBe('certificate-wrong-usage');
    const oid = '2.16.840.1.113730.1.1';
    expect(outcome(await type(0b1001_0000), { mayAdd: [oid] })).toBe('ok');
    // A byte behind it hides nothing; and critical it is as well known as otherwise.
    const padded = await withExtension(oid, false, Buffer.of(3, 3, 0, 0b0001_0111, 0));
    expect(outcome(padded)).toBe('certificate-wrong-usage');
    expect(outcome(await withExtension(oid, true, Buffer.of(3, 2, 7, 0x80)))).toBe('ok');
    expect(outcome(await withExtension(oid, false, Buffer.of(5, 0)))).toBe(
      'certificate-unreadable',
    );
  });

  it.each([
    ['AD CS’s “User”', '1.3.6.1.4.1.311.10.3.4', '1.3.6.1.5.5.7.3.4'],
    ['EJBCA’s ENDUSER', '1.3.6.1.5.5.7.3.4'],
    ['NDES’s “IPSec (Offline request)”, and other templates for VPN', '1.3.6.1.5.5.8.2.2'],
    ['a template for Wi-Fi', '1.3.6.1.5.5.7.3.13', '1.3.6.1.5.5.7.3.14'],
  ])('is none that the names hold in bounds, as %s grants it', async (_, ...oids) => {
    expect(outcome(await withUsages(...oids))).toBe('ok');
  });

  it('is none that says where revocation lists are, critical or not', async () => {
    expect(outcome(await withExtension('2.5.29.31', true, Buffer.of(0x30, 0)))).toBe('ok');
  });

  it('is harmless where most CAs grant it: serverAuth, also when no usage was asked for', async () => {
    expect(outcome(await withUsages(serverAuth))).toBe('ok');
    const bare = { ...wanted, extendedKeyUsages: [] };
    expect(outcome(await withUsages(serverAuth), { wanted: bare })).toBe('ok');
    expect(outcome(await withUsages(codeSigning), { wanted: bare })).not.toBe('ok');
  });
});

/** CertificatePolicies, DER. */
function policySequence(...oids: readonly string[]): Buffer<ArrayBuffer> {
  const policies = oids.map((oid) => encode(tag.sequence, encodeOid(oid)));
  return Buffer.from(encode(tag.sequence, ...policies));
}

describe('a signature', () => {
  const sha1WithRsa = '06092a864886f70d010105';
  const sha256WithRsa = '06092a864886f70d01010b';

  it('over SHA-1 or MD5 is refused, over SHA-1 unless it may be', async () => {
    const facts = readCertificate(await leafWith());
    const signedWith = (oid: string) => ({
      ...facts,
      signatureAlgorithm: Buffer.from(`300d${oid}0500`, 'hex'),
    });
    const check =
      (oid: string, mayAdd: readonly string[] = []) =>
      () =>
        checkPowers(signedWith(oid), wanted, mayAdd);
    expect(check(sha256WithRsa)).not.toThrow();
    expect(check(sha1WithRsa)).toThrow(/signed over SHA-1.*SHA-256, or list sha1Signature/);
    expect(check(sha1WithRsa, ['sha1Signature'])).not.toThrow();
    expect(check('06092a864886f70d010104', ['sha1Signature'])).toThrow(/over MD5/);
  });

  it.each([
    ['ecdsa-with-SHA1', '300906072a8648ce3d0401', 'SHA-1'],
    ['ecdsa-with-SHA256', '300a06082a8648ce3d040302', undefined],
    ['md4WithRSAEncryption', '300d06092a864886f70d0101030500', 'MD4'],
    [
      'RSASSA-PSS with MD5',
      '301d06092a864886f70d01010a3010a00e300c06082a864886f70d02050500',
      'MD5',
    ],
    ['RSASSA-PSS without parameters, which is SHA-1', '300b06092a864886f70d01010a', 'SHA-1'],
    ['RSASSA-PSS with an empty list of them', '300d06092a864886f70d01010a3000', 'SHA-1'],
    [
      'RSASSA-PSS with SHA-256',
      '301e06092a864886f70d01010a3011a00f300d06096086480165030402010500',
      undefined,
    ],
  ])('%s is known', (_, algorithm, expected) => {
    expect(brokenHashOf(Buffer.from(algorithm, 'hex'))).toBe(expected);
  });

  it.each([
    ['names no algorithm', '3000'],
    ['names it by something else than an object identifier', '300304010a'],
    ['has parameters for RSASSA-PSS that are none', '300d06092a864886f70d01010a0500'],
  ])('that %s makes the certificate unreadable', async (_, algorithm) => {
    const facts = readCertificate(await leafWith());
    const signatureAlgorithm = Buffer.from(algorithm, 'hex');
    expect(() => checkPowers({ ...facts, signatureAlgorithm }, wanted, [])).toThrow(
      expect.objectContaining({ code: 'certificate-unreadable' }),
    );
  });

  it('that is not by the CA of its chain is refused without roots, too', async () => {
    const impostor = await makeCa({ name: 'CN=Issuing', parent: root });
    const forged = await makeLeaf(impostor, {
      keys,
      keyUsage: digitalSignature,
      extendedKeyUsages: [clientAuth],
      subjectAltNames: asked,
    });
    const without = { roots: [], chain: [issuing.der, root.der] };
    expect(outcome(forged, without)).toBe('certificate-untrusted');
    expect(refusal(forged, without)?.message).toMatch(/not by “CN=Issuing”/);
    expect(outcome(await leafWith(), without)).toBe('ok');
    expect(outcome(forged, { roots: [], chain: [issuing.der, impostor.der] })).toBe('ok');
    // Nor one farther up.
    const otherRoot = await makeCa();
    const broken = { roots: [], chain: [issuing.der, otherRoot.der] };
    expect(outcome(await leafWith(), broken)).toBe('certificate-untrusted');
  });
});

describe('a CA that was given a new key', () => {
  it('has its certificates taken while the chain has its earlier certificate only', async () => {
    const renewed = await newKeys();
    const identified = async (keys: KeyPair) =>
      makeCa({
        name: 'CN=Issuing',
        keys,
        extensions: [await x509.SubjectKeyIdentifierExtension.create(keys.publicKey)],
      });
    const [before, after] = [await identified(issuing.keys), await identified(renewed)];
    const leafBy = async (key: KeyPair) =>
      makeLeaf(after, {
        keys,
        keyUsage: digitalSignature,
        extendedKeyUsages: [clientAuth],
        subjectAltNames: asked,
        extensions: [await x509.AuthorityKeyIdentifierExtension.create(key.publicKey)],
      });
    expect(outcome(await leafBy(renewed), { roots: [], chain: [before.der] })).toBe('ok');
    expect(outcome(await leafBy(renewed), { roots: [], chain: [before.der, after.der] })).toBe(
      'ok',
    );
    // Whoever names the key that did not sign is not believed.
    const forged = await leafBy(issuing.keys);
    expect(outcome(forged, { roots: [], chain: [before.der] })).toBe('certificate-untrusted');
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
