import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { readCertificate, readPublicKeyInfo, serialNumberOf } from '../../src/x509/certificate.ts';
import { readSingle, tag } from '../../src/x509/der.ts';
import { decodeName, formatName } from '../../src/x509/distinguished-name.ts';
import { encode } from '../../src/x509/encode-der.ts';
import { readCertificates } from '../../src/x509/pem.ts';
import {
  type Authority,
  dayMs,
  type KeyPair,
  makeCa,
  makeLeaf,
  newKeys,
  now,
  publicKeyInfo,
  x509,
} from '../support/test-certificates.ts';

let root: Authority;
let keys: KeyPair;
let leaf: Uint8Array;

beforeAll(async () => {
  root = await makeCa({ pathLength: 2 });
  keys = await newKeys();
  leaf = await makeLeaf(root, {
    keys,
    serialNumber: '00ff01',
    keyUsage: x509.KeyUsageFlags.digitalSignature,
    extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'],
    subjectAltNames: [
      { type: 'dns', value: 'a.example' },
      { type: 'upn', value: 'a@example' },
      { type: 'ip', value: '10.0.0.1' },
    ],
  });
});

/** A certificate with one byte string in it replaced by another of the same length. */
function altered(der: Uint8Array, from: string, to: string): Uint8Array {
  const hex = Buffer.from(der).toString('hex');
  expect(hex.split(from)).toHaveLength(2);
  return Buffer.from(hex.replace(from, to), 'hex');
}

describe('readCertificate', () => {
  it('says what the certificate says', async () => {
    const facts = readCertificate(leaf);
    expect(facts).toMatchObject({
      serialNumber: 'FF01',
      notBefore: now - 60_000,
      notAfter: now + 365 * dayMs,
      isCa: false,
      pathLength: undefined,
      keyUsages: ['digitalSignature'],
      extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'],
      subjectAltNames: [
        { type: 'dns', value: 'a.example' },
        { type: 'upn', value: 'a@example' },
        { type: 'other', value: 'IP address 0a000001' },
      ],
    });
    expect(formatName(facts.subject)).toBe('CN=device-1,O=Example');
    expect(formatName(decodeName(facts.issuer))).toBe('CN=Test Root');
    expect(facts.subjectPublicKeyInfo).toEqual(await publicKeyInfo(keys));
    expect(facts.der).toEqual(leaf);
  });

  it('knows a CA', () => {
    expect(readCertificate(root.der)).toMatchObject({
      isCa: true,
      pathLength: 2,
      keyUsages: ['keyCertSign', 'cRLSign'],
    });
  });

  it('shows a negative serial number as openssl does', () => {
    const pem = readFileSync(new URL('../fixtures/x509/leaf-negserial.pem', import.meta.url));
    const [der = new Uint8Array()] = readCertificates(pem);
    expect(readCertificate(der)).toMatchObject({ serialNumber: '-43219876DCBA0000' });
    expect(serialNumberOf(der)).toBe('-43219876DCBA0000');
  });

  it('gives the serial number as Node does', () => {
    for (const der of [leaf, root.der]) {
      expect(readCertificate(der).serialNumber).toBe(new X509Certificate(der).serialNumber);
    }
  });

  it('refuses anything behind the certificate', () => {
    expect(() => readCertificate(Buffer.concat([leaf, Buffer.of(0)]))).toThrow(
      'The certificate has 1 bytes after its end',
    );
  });

  it('refuses a certificate cut off anywhere', () => {
    for (let length = 0; length < leaf.length; length++) {
      expect(() => readCertificate(leaf.slice(0, length))).toThrow('not a readable certificate');
    }
  });

  it('refuses two algorithms', () => {
    const hex = Buffer.from(leaf).toString('hex');
    const at = hex.lastIndexOf('06082a8648ce3d040302');
    const wrong = `${hex.slice(0, at)}06082a8648ce3d040303${hex.slice(at + 20)}`;
    expect(() => readCertificate(Buffer.from(wrong, 'hex'))).toThrow(
      'two different signature algorithms',
    );
  });

  it('refuses an extension that is there twice', () => {
    // The extended key usage becomes a second key usage.
    expect(() => readCertificate(altered(leaf, '0603551d25', '0603551d0f'))).toThrow('twice');
  });

  it('refuses a version that does not exist', () => {
    expect(() => readCertificate(altered(leaf, 'a003020102', 'a003020103'))).toThrow(
      'version is 4',
    );
  });

  it.each([
    ['text', Buffer.from('-----BEGIN CERTIFICATE-----')],
    ['an empty sequence', Buffer.from('3000', 'hex')],
    ['too much', Buffer.alloc(100_000, 0x30)],
  ])('refuses %s', (_, der) => {
    expect(() => readCertificate(der)).toThrow(/certificate/);
  });
});

describe('a unique ID', () => {
  it.each([
    ['of whole bytes', 0x81, [0, 1], true],
    ['of single bits', 0x82, [7, 0x80], true],
    ['without its first byte', 0x81, [], false],
    ['with more unused bits than a byte has', 0x82, [8, 1], false],
  ])('%s is read where OpenSSL reads it', (_, idTag, content, isRead) => {
    const certificate = withUniqueId(encode(idTag, Uint8Array.from(content)));
    const ours = () => readCertificate(certificate);
    const openssl = () => new X509Certificate(certificate);
    if (isRead) expect(ours().subject).toEqual(readCertificate(leaf).subject);
    else expect(ours).toThrow('This is not a readable certificate. A unique ID is no BIT STRING.');
    expect(isThrowing(openssl)).toBe(!isRead);
  });

  /** The leaf with this after its public key. */
  function withUniqueId(id: Uint8Array): Uint8Array {
    const { signedPart, subjectPublicKeyInfo } = readCertificate(leaf);
    const signed = Buffer.from(readSingle(signedPart, tag.sequence, 'The signed part').content);
    const at = signed.indexOf(subjectPublicKeyInfo) + subjectPublicKeyInfo.length;
    const whole = readSingle(leaf, tag.sequence, 'The certificate').content;
    return encode(
      tag.sequence,
      encode(tag.sequence, signed.subarray(0, at), id, signed.subarray(at)),
      whole.subarray(signedPart.length),
    );
  }

  function isThrowing(action: () => unknown): boolean {
    try {
      action();
      return false;
    } catch {
      return true;
    }
  }
});

describe('readPublicKeyInfo', () => {
  it('takes a key apart', async () => {
    const { algorithm, parameters, key } = readPublicKeyInfo(await publicKeyInfo(keys));
    expect(algorithm).toBe('1.2.840.10045.2.1');
    expect(Buffer.from(parameters ?? []).toString('hex')).toBe('06082a8648ce3d030107');
    expect(key).toHaveLength(65);
  });
});
