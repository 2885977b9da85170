import { describe, expect, it } from 'vitest';
import {
  formatExtendedKeyUsage,
  parseExtendedKeyUsage,
  parseKeyUsage,
} from '../../src/x509/usages.ts';

describe('key usages by name', () => {
  it('are known in any case', () => {
    expect(parseKeyUsage('digitalsignature')).toBe('digitalSignature');
    expect(parseKeyUsage('contentCommitment')).toBe('nonRepudiation');
  });

  it('give a hint when misspelt, and never a CA’s', () => {
    expect(() => parseKeyUsage('digitalSignatur')).toThrow('Is digitalSignature meant?');
    expect(() => parseKeyUsage('keyCertSign')).toThrow('“keyCertSign” is no key usage.');
    expect(() => parseKeyUsage('toString')).toThrow('is no key usage');
    expect(() => parseKeyUsage('x')).toThrow('Known are digitalSignature,');
  });
});

describe('extended key usages', () => {
  it('are known by name and by object identifier', () => {
    expect(parseExtendedKeyUsage('clientAuth')).toBe('1.3.6.1.5.5.7.3.2');
    expect(parseExtendedKeyUsage('SmartcardLogon')).toBe('1.3.6.1.4.1.311.20.2.2');
    expect(parseExtendedKeyUsage('1.2.3.4')).toBe('1.2.3.4');
  });

  it('give a hint when misspelt', () => {
    expect(() => parseExtendedKeyUsage('clientAuht')).toThrow('Is clientAuth meant?');
    expect(() => parseExtendedKeyUsage('1.2.x')).toThrow('An object identifier');
  });

  it('are written by name where they have one', () => {
    expect(formatExtendedKeyUsage('1.3.6.1.5.5.7.3.2')).toBe('clientAuth');
    expect(formatExtendedKeyUsage('1.2.3.4')).toBe('1.2.3.4');
  });
});
