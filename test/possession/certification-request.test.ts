import { execFileSync, spawnSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { CertificationRequest } from '@peculiar/asn1-csr';
import { AsnConvert } from '@peculiar/asn1-schema';
import { Extensions } from '@peculiar/asn1-x509';
import { describe, expect, it } from 'vitest';
import type { CsrAdditions } from '../../src/plug-in/certificate-authority.ts';
import {
  certificationRequest,
  certificationRequestInfo,
} from '../../src/possession/certification-request.ts';
import { readCertificationRequest } from '../../src/request/read-certification-request.ts';
import type { KeyType, RequestedCertificate } from '../../src/request/requested-certificate.ts';
import { DerError, tag } from '../../src/x509/der.ts';
import { parseName } from '../../src/x509/distinguished-name.ts';
import { encode, encodeText } from '../../src/x509/encode-der.ts';

const pairs = {
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ec: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
};
const spkiOf = (key: KeyObject) => new Uint8Array(key.export({ type: 'spki', format: 'der' }));

const wanted: RequestedCertificate = {
  subject: parseName('CN=device-1,OU=Käse\\, GmbH,O=Example,C=DE'),
  subjectAltNames: [
    { type: 'dns', value: 'device-1.example.com' },
    { type: 'email', value: 'user@example.com' },
    { type: 'upn', value: 'user@corp.example' },
    { type: 'uri', value: 'tag:microsoft.com,2022-09-14:sid:S-1-5-21-1' },
  ],
  keyUsages: ['digitalSignature', 'keyEncipherment'],
  extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'],
  validityDays: 365,
  template: 'ChromeWiFi',
};
const bare: RequestedCertificate = {
  subject: parseName('CN=a'),
  subjectAltNames: [],
  keyUsages: [],
  extendedKeyUsages: [],
  validityDays: 1,
};

function makeRequest(keyType: KeyType, what: RequestedCertificate, additions?: CsrAdditions) {
  const { publicKey, privateKey } = pairs[keyType];
  const info = certificationRequestInfo({
    subjectPublicKeyInfo: spkiOf(publicKey),
    wanted: what,
    additions,
  });
  return { info, csr: certificationRequest(info, keyType, sign('sha256', info, privateKey)) };
}

const challenge = encodeText(tag.printableString, 'secret');
const withChallenge: CsrAdditions = {
  attributes: [{ type: '1.2.840.113549.1.9.7', values: [challenge] }],
  extensions: [{ type: '1.3.6.1.4.1.311.25.2', critical: false, value: encode(tag.sequence) }],
  keyUsages: ['digitalSignature'],
};

describe.each<KeyType>(['rsa', 'ec'])('a request for an %s key', (keyType) => {
  it('comes back as it was asked for', () => {
    const { info, csr } = makeRequest(keyType, wanted);
    const facts = readCertificationRequest(csr);
    expect(facts).toMatchObject({
      subject: wanted.subject,
      subjectAltNames: wanted.subjectAltNames,
      keyUsages: wanted.keyUsages,
      extendedKeyUsages: wanted.extendedKeyUsages,
      template: 'ChromeWiFi',
      attributes: [],
      verified: true,
    });
    expect(facts.subjectPublicKeyInfo).toEqual(spkiOf(pairs[keyType].publicKey));
    expect(facts.info).toEqual(info);
  });

  it('is read and written alike by another library', () => {
    const { csr } = makeRequest(keyType, wanted, withChallenge);
    const parsed = AsnConvert.parse(csr, CertificationRequest);
    expect(Buffer.from(AsnConvert.serialize(parsed)).equals(csr)).toBe(true);
    const types = parsed.certificationRequestInfo.attributes.map(({ type }) => type);
    expect(types).toEqual(['1.2.840.113549.1.9.7', '1.2.840.113549.1.9.14']);
    const [value] = parsed.certificationRequestInfo.attributes[1]?.values ?? [];
    expect(
      AsnConvert.parse(value ?? new ArrayBuffer(), Extensions).map((one) => [
        one.extnID,
        one.critical,
      ]),
    ).toEqual([
      ['2.5.29.15', true],
      ['2.5.29.37', false],
      ['2.5.29.17', false],
      ['1.3.6.1.4.1.311.20.2', false],
      ['1.3.6.1.4.1.311.25.2', false],
    ]);
  });
});

const openssl = spawnSync('openssl', ['version']).status === 0;
if (!openssl) console.warn('SKIPPED: openssl is not installed; requests were not shown to it.');

describe.skipIf(!openssl)('openssl', () => {
  it.each<[string, KeyType, RequestedCertificate, CsrAdditions | undefined, string[]]>([
    [
      'RSA with all names',
      'rsa',
      wanted,
      undefined,
      [
        'C = DE, O = Example, OU = "K\\C3\\A4se, GmbH", CN = device-1',
        'DNS:device-1.example.com',
        'email:user@example.com',
        'URI:tag:microsoft.com',
        'TLS Web Client Authentication',
        'Digital Signature, Key Encipherment',
        '.C.h.r.o.m.e.W.i.F.i',
      ],
    ],
    ['EC with all names', 'ec', wanted, undefined, ['ecdsa-with-SHA256', 'CN = device-1']],
    [
      'an empty subject',
      'ec',
      { ...wanted, subject: [] },
      undefined,
      ['Alternative Name: critical'],
    ],
    ['nothing but a name', 'rsa', bare, undefined, ['CN = a']],
    ['additions', 'rsa', wanted, withChallenge, ['challengePassword', '1.3.6.1.4.1.311.25.2']],
    [
      'a SID',
      'ec',
      { ...bare, securityIdentifier: 'S-1-5-21-1-2-3-1001' },
      undefined,
      ['1.3.6.1.4.1.311.25.2', 'S-1-5-21-1-2-3-1001'],
    ],
  ])('accepts %s', (_, keyType, what, additions, texts) => {
    const { csr } = makeRequest(keyType, what, additions);
    const input = { input: csr, encoding: 'utf8' } as const;
    const args = ['req', '-verify', '-inform', 'DER', '-noout', '-text'];
    const result = spawnSync('openssl', args, input);
    expect(result.status).toBe(0);
    expect(result.stderr + result.stdout).toMatch(/verify OK/);
    for (const text of texts) expect(result.stdout).toContain(text);
  });

  it('writes requests that are read here', () => {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    const names = ['-subj', '/O=Example/CN=x', '-addext', 'subjectAltName=DNS:a.example'];
    const csr = execFileSync(
      'openssl',
      ['req', '-new', ...key, '-keyout', '/dev/null', '-outform', 'DER', '-sha256', ...names],
      { stdio: 'pipe' },
    );
    expect(readCertificationRequest(csr)).toMatchObject({
      subject: parseName('CN=x,O=Example'),
      subjectAltNames: [{ type: 'dns', value: 'a.example' }],
      verified: true,
    });
  });
});

describe('certificationRequestInfo', () => {
  it('has an empty set of attributes when nothing else is asked for', () => {
    const { csr, info } = makeRequest('ec', bare);
    expect(Buffer.from(info).subarray(-2).toString('hex')).toBe('a000');
    expect(readCertificationRequest(csr)).toMatchObject({ extensions: [], verified: true });
  });

  it('marks the alternative names as critical only when the subject is empty', () => {
    const { csr } = makeRequest('ec', { ...wanted, subject: [] });
    const names = readCertificationRequest(csr).extensions.find(({ type }) => type === '2.5.29.17');
    expect(names?.critical).toBe(true);
  });

  it('carries what the CA wants inside', () => {
    const facts = readCertificationRequest(makeRequest('ec', wanted, withChallenge).csr);
    expect(facts.keyUsages).toEqual(['digitalSignature']);
    expect(facts.attributes).toEqual([{ type: '1.2.840.113549.1.9.7', values: [challenge] }]);
    expect(facts.extensions.at(-1)).toEqual(withChallenge.extensions?.[0]);
  });

  it.each<[string, CsrAdditions]>([
    [
      'an extension that is there already',
      { extensions: [{ type: '2.5.29.17', critical: false, value: challenge }] },
    ],
    ['extensionRequest', { attributes: [{ type: '1.2.840.113549.1.9.14', values: [challenge] }] }],
  ])('refuses additions with %s', (_, additions) => {
    expect(() => makeRequest('ec', wanted, additions)).toThrow('prepare() must not add it');
  });

  it('refuses a subject beyond the bounds', () => {
    const subject = parseName(`CN=${'a'.repeat(65)}`);
    expect(() => makeRequest('ec', { ...wanted, subject })).toThrow('64 are allowed');
  });
});

describe('readCertificationRequest', () => {
  const { info, csr } = makeRequest('ec', wanted);

  it('does not verify what another key signed, nor another algorithm', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const forged = certificationRequest(info, 'ec', sign('sha256', info, privateKey));
    const mislabelled = certificationRequest(
      info,
      'rsa',
      sign('sha256', info, pairs.ec.privateKey),
    );
    const bareSignature = sign('sha256', info, {
      key: pairs.ec.privateKey,
      dsaEncoding: 'ieee-p1363',
    });
    for (const one of [forged, mislabelled, certificationRequest(info, 'ec', bareSignature)]) {
      expect(readCertificationRequest(one).verified).toBe(false);
    }
  });

  it('does not verify a request of which a byte was changed', () => {
    const changed = Uint8Array.from(csr);
    const at = Buffer.from(changed).indexOf('device-1');
    changed[at] = 'X'.charCodeAt(0);
    expect(readCertificationRequest(changed).verified).toBe(false);
  });

  it.each([
    ['nothing', new Uint8Array()],
    ['a byte behind it', Buffer.concat([csr, Buffer.of(0)])],
    ['half of it', csr.slice(0, 100)],
    ['another structure', Buffer.from('3003020100', 'hex')],
    ['too much', new Uint8Array(70_000)],
  ])('refuses %s', (_, der) => {
    expect(() => readCertificationRequest(der)).toThrow(DerError);
  });
});
