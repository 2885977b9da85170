import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodePem,
  encodePem,
  PemError,
  readCertificates,
  readOwnCertificates,
} from '../../src/x509/pem.ts';
import { readPrivateKey } from '../../src/x509/private-key.ts';

const der = new Uint8Array(Buffer.from(`3062${'0460'}${'ab'.repeat(96)}`, 'hex'));
const pem = encodePem('CERTIFICATE', der);

describe('encodePem', () => {
  it('breaks lines at 64 columns', () => {
    const lines = pem.split('\n');
    expect(lines[0]).toBe('-----BEGIN CERTIFICATE-----');
    expect(lines.slice(1, -2).every((line) => line.length <= 64)).toBe(true);
    expect(lines[1]).toHaveLength(64);
    expect(lines.at(-2)).toBe('-----END CERTIFICATE-----');
    expect(lines.at(-1)).toBe('');
  });

  it('keeps bytes of any length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (bytes) => {
        expect(decodePem(encodePem('X', bytes))).toEqual([{ label: 'X', der: bytes }]);
      }),
    );
  });

  it('encodes a view of a larger buffer as that view', () => {
    const whole = randomBytes(100);
    const view = whole.subarray(10, 20);
    expect(decodePem(encodePem('X', view))[0]?.der).toEqual(new Uint8Array(view));
  });
});

describe('decodePem', () => {
  it.each([
    ['that begin with a byte order mark', `\uFEFF${pem}\uFEFF${pem}`],
    ['that do not end with a line break', pem.trimEnd() + pem],
    ['that do either', `${pem.trimEnd()}\uFEFF${pem}`],
  ])('reads files put together %s', (_, text) => {
    expect(decodePem(text).map((block) => block.der)).toEqual([der, der]);
    const bytes = Buffer.from(text);
    expect(readCertificates(bytes)).toHaveLength(2);
  });

  it('says of a PKCS#12 file that it is one', () => {
    const begins = Buffer.from('3005020103' + '3000', 'hex');
    expect(() => readCertificates(begins)).toThrow(/PKCS#12 .*openssl pkcs12/);
  });

  it.each([
    ['as written', pem],
    ['with CRLF', pem.replaceAll('\n', '\r\n')],
    ['with text around it', `Bag Attributes\n  friendlyName: x\n${pem}the end\n`],
    ['without a break at the end', pem.trimEnd()],
    ['with a byte order mark', `\uFEFF${pem}`],
    ['with line breaks written as \\n', pem.replaceAll('\n', '\\n')],
    ['after a line of dashes', `------ begins here ------\n${'-'.repeat(30)}\n${pem}`],
    ['with blank lines and indentation', `\n\n  ${pem.replaceAll('\n', '\n  ')}`],
  ])('reads a block %s', (_, text) => {
    expect(decodePem(text, 'CERTIFICATE')).toEqual([{ label: 'CERTIFICATE', der }]);
  });

  it('reads several blocks in their order', () => {
    const text = encodePem('CERTIFICATE', der) + encodePem('X509 CRL', der.slice(0, 10));
    expect(decodePem(text).map(({ label }) => label)).toEqual(['CERTIFICATE', 'X509 CRL']);
  });

  it.each([
    ['no block', 'hello', 'There is no PEM block'],
    ['another label', pem.replaceAll('CERTIFICATE', 'PRIVATE KEY'), 'Line 1'],
    ['an open block', pem.slice(0, 100), 'does not end'],
    ['an end without a beginning', '-----END CERTIFICATE-----', 'did not begin'],
    ['a block in a block', `-----BEGIN CERTIFICATE-----\n${pem}`, 'inside CERTIFICATE'],
    ['labels that differ', pem.replace('END CERTIFICATE', 'END FOO'), 'ends FOO'],
    ['a torn boundary', pem.replace('-----END CERTIFICATE-----', '-----END CERT'), 'whole'],
    ['too few dashes', pem.replace('-----BEGIN', '----BEGIN'), 'Line 1'],
    ['a line of dashes in a block', pem.replace('\n', `\n${'-'.repeat(9)}\n`), 'is not base64'],
    ['strange characters', pem.replace('q', '?'), 'is not base64'],
    ['missing characters', pem.replace('q', ''), 'broken base64'],
    ['padding in the middle', pem.replace('\nMG', '\nMG=='), 'not base64'],
    ['a legacy header', pem.replace('\n', '\nProc-Type: 4,ENCRYPTED\n'), 'encrypted'],
    ['an empty block', '-----BEGIN A-----\n-----END A-----', 'empty'],
    ['too many blocks', pem.repeat(1_001), 'block 1001'],
    ['too long a text', 'x'.repeat(1024 * 1024 + 1), 'longer'],
  ])('refuses %s', (_, text, message) => {
    const read = () => decodePem(text, text.includes('BEGIN A-') ? undefined : 'CERTIFICATE');
    expect(read).toThrow(PemError);
    expect(read).toThrow(message);
  });
});

describe('readCertificates', () => {
  it('takes DER, PEM as bytes and PEM as text', () => {
    expect(readCertificates(Buffer.from(der))).toEqual([der]);
    expect(readCertificates(Buffer.from(pem + pem))).toEqual([der, der]);
    expect(readCertificates(pem)).toEqual([der]);
  });

  it('refuses DER with anything behind it', () => {
    expect(() => readCertificates(Buffer.concat([der, der]))).toThrow(PemError);
  });

  it('refuses other blocks', () => {
    expect(() => readCertificates(encodePem('PRIVATE KEY', der))).toThrow(
      'Line 1 of the PEM text begins a PRIVATE KEY where only CERTIFICATE belongs.',
    );
  });
});

const fixture = (name: string) => readFileSync(new URL(`../fixtures/pem/${name}`, import.meta.url));

describe('what people bring as certificates', () => {
  it.each([
    ['behind a UTF-8 byte order mark', 'bom.pem', 'CN=CA p384'],
    ['behind a line of dashes', 'dashes.pem', 'CN=CA p384'],
    ['with the label X509 CERTIFICATE', 'x509label.pem', 'CN=CA p384'],
    ['in DER', 'ca-der.cer', 'CN='],
    ['in a PKCS#7 bag (.p7b)', 'ca.p7b', 'CN='],
  ])('reads them %s', (_, name, subject) => {
    const [read = new Uint8Array(), ...more] = readCertificates(fixture(name));
    expect(new X509Certificate(read).subject).toContain(subject);
    expect(more).toEqual([]);
  });

  it('reads a bag in DER, and one that Windows labelled CERTIFICATE', () => {
    const [bag] = decodePem(fixture('ca.p7b').toString());
    const inside = readCertificates(fixture('ca.p7b'));
    expect(readCertificates(bag?.der ?? '')).toEqual(inside);
    expect(readCertificates(encodePem('CERTIFICATE', bag?.der ?? der))).toEqual(inside);
  });

  it('finds them beside their key, also an encrypted one of the old kind', () => {
    const key =
      '-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END EC PRIVATE KEY-----\n';
    const parameters = encodePem('EC PARAMETERS', der);
    expect(readOwnCertificates(Buffer.from(parameters + key + pem))).toEqual([der]);
    expect(readOwnCertificates(Buffer.from(pem + key))).toEqual([der]);
    expect(() => readOwnCertificates(Buffer.from(key))).toThrow('There is no PEM block');
  });

  it.each([
    ['utf16.pem', /UTF-16, as PowerShell’s > writes it.*iconv -f UTF-16 -t UTF-8/],
    ['ca-utf16.pem', /UTF-16, as PowerShell’s > writes it.*iconv -f UTF-16 -t UTF-8/],
    ['trusted.pem', /Line 1 .*TRUSTED CERTIFICATE.*openssl x509 -in OLD -out NEW/],
  ])('refuses %s and says how to convert it', (name, message) => {
    expect(() => readCertificates(fixture(name))).toThrow(message);
    expect(() => readCertificates(fixture(name).toString('utf8'))).toThrow(message);
  });
});

describe('readPrivateKey', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const cipher = { cipher: 'aes-128-cbc', passphrase: 'secret' } as const;
  const plain = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const encrypted = privateKey.export({ type: 'pkcs8', format: 'pem', ...cipher }).toString();
  const folded = plain.replaceAll('\n', '\\n');

  it.each([
    ['as written', plain],
    ['with a byte order mark', `\uFEFF${plain}`],
    ['indented', plain.replaceAll(/^/gm, '    ')],
    ['behind its certificate', pem + plain],
    ['with line breaks written as \\n', folded],
    ['with them and in quotes, as environment files have it', `"${folded}"\n`],
    ['with \\r\\n', folded.replaceAll('\\n', '\\r\\n')],
  ])('reads one %s', (_, text) => {
    expect(readPrivateKey(text).equals(privateKey)).toBe(true);
    expect(readPrivateKey(Buffer.from(text)).equals(privateKey)).toBe(true);
  });

  it('reads an encrypted one with its passphrase', () => {
    expect(readPrivateKey(encrypted, 'secret').equals(privateKey)).toBe(true);
  });

  it.each([
    ['no PEM', 'hunter2', /no PEM block of a private key/],
    ['a certificate', pem, /is a CERTIFICATE and no private key/],
    ['an encrypted one alone', encrypted, /encrypted and needs its passphrase/],
    ['a torn one', plain.replace(/.{20}\n-----END/, '\n-----END'), /is the file whole/],
    ['UTF-16', Buffer.from(`\uFEFF${plain}`, 'utf16le'), /UTF-16/],
  ])('refuses %s', (_, given, message) => {
    expect(() => readPrivateKey(given)).toThrow(message);
  });

  it('refuses a wrong passphrase', () => {
    expect(() => readPrivateKey(encrypted, 'wrong')).toThrow(/is the passphrase right/);
  });
});
