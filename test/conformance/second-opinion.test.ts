import { beforeAll, describe, expect, it } from 'vitest';
import { secondOpinion } from '../../conformance/second-opinion.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { type Authority, makeCa, makeLeaf, newKeys, x509 } from '../support/test-certificates.ts';

let root: Authority;
let leaf: Uint8Array;

beforeAll(async () => {
  root = await makeCa({ pathLength: 0 });
  leaf = await makeLeaf(root, {
    keys: await newKeys(),
    keyUsage: x509.KeyUsageFlags.digitalSignature,
    extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'],
    subjectAltNames: [
      { type: 'dns', value: 'a.example' },
      { type: 'url', value: 'urn:a' },
      { type: 'upn', value: 'a@example.com' },
      { type: 'ip', value: '10.0.0.1' },
    ],
  });
});

describe('a second opinion on a certificate', () => {
  it('is none where both readers agree and the issuer signed', async () => {
    expect(await secondOpinion(readCertificate(leaf), [root.der])).toBeUndefined();
    expect(await secondOpinion(readCertificate(root.der), [root.der])).toBeUndefined();
  });

  it('is that of another reader where it reads something else', async () => {
    const facts = { ...readCertificate(leaf), keyUsages: ['keyEncipherment'] as const };
    expect(await secondOpinion(facts)).toBe(
      'it reads the key usages as “digitalSignature” and not as “keyEncipherment”',
    );
  });

  it('is that it is none where another reader does not take it', async () => {
    const facts = { ...readCertificate(leaf), der: leaf.subarray(0, -1) };
    expect(await secondOpinion(facts)).toMatch(/^it does not read it: /);
  });

  it('knows a signature that is not that of the issuer who is named', async () => {
    const namesake = await makeCa({ pathLength: 0 });
    expect(await secondOpinion(readCertificate(leaf), [namesake.der])).toBe(
      'it does not find the signature to be that of CN=Test Root',
    );
  });
});
