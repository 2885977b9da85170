import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { decodePem, encodePem, PemError, readCertificates } from '../../src/x509/pem.ts';

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

  it('encodes a view of a larger buffer as that view', () => {
    const whole = randomBytes(100);
    const view = whole.subarray(10, 20);
    expect(decodePem(encodePem('X', view))[0]?.der).toEqual(new Uint8Array(view));
  });
});

describe('decodePem', () => {
  it.each([
    ['as written', pem],
    ['with CRLF', pem.replaceAll('\n', '\r\n')],
    ['with text around it', `Bag Attributes\n  friendlyName: x\n${pem}the end\n`],
    ['without a break at the end', pem.trimEnd()],
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
    ['strange characters', pem.replace('q', '?'), 'is not base64'],
    ['missing characters', pem.replace('q', ''), 'broken base64'],
    ['padding in the middle', pem.replace('\nMG', '\nMG=='), 'not base64'],
    ['a legacy header', pem.replace('\n', '\nProc-Type: 4,ENCRYPTED\n'), 'encrypted'],
    ['an empty block', '-----BEGIN A-----\n-----END A-----', 'empty'],
    ['too many blocks', pem.repeat(201), 'block 201'],
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
