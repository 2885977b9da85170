import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { readCertificate } from '../../src/x509/certificate.ts';
import { hasSigned } from '../../src/x509/certificate-signature.ts';
import { now, x509 } from '../support/test-certificates.ts';

const hashes = ['SHA-256', 'SHA-384', 'SHA-512'] as const;
const { subtle } = globalThis.crypto;

async function selfSigned(algorithm: EcKeyGenParams | RsaHashedKeyGenParams, hash: string) {
  const keys = await subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=Test',
    serialNumber: '01',
    notBefore: new Date(now),
    notAfter: new Date(now + 1_000),
    keys,
    // The salt's length is PSS's, which the types do not know.
    signingAlgorithm: Object.assign({ name: algorithm.name, hash }, { saltLength: 32 }),
  });
  return new Uint8Array(certificate.rawData);
}

const ec = (namedCurve: string) => ({ name: 'ECDSA', namedCurve });
const rsa = (name: string, hash: string) => ({
  name,
  hash,
  modulusLength: 2048,
  publicExponent: Uint8Array.of(1, 0, 1),
});

describe('a certificate’s signature', () => {
  it.each(
    hashes.flatMap((hash) => [
      ['P-256', hash, ec('P-256')] as const,
      ['P-384', hash, ec('P-384')] as const,
      ['RSA', hash, rsa('RSASSA-PKCS1-v1_5', hash)] as const,
    ]),
  )('of %s over %s is found good and bad as OpenSSL finds it', async (_kind, hash, algorithm) => {
    const der = await selfSigned(algorithm, hash);
    const { publicKey } = new X509Certificate(der);
    const { publicKey: stranger } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const facts = readCertificate(der);
    expect(hasSigned(publicKey, facts)).toBe(true);
    expect(hasSigned(stranger, facts)).toBe(algorithm.name === 'ECDSA' ? false : undefined);
    const signedPart = Uint8Array.from(facts.signedPart);
    signedPart[20] = (signedPart[20] ?? 0) ^ 1;
    expect(hasSigned(publicKey, { ...facts, signedPart })).toBe(false);
    expect(new X509Certificate(der).verify(publicKey)).toBe(true);
    expect(new X509Certificate(der).verify(stranger)).toBe(false);
  });

  it('is left to OpenSSL where its algorithm is another, or the key is of another kind', async () => {
    const pss = await selfSigned(rsa('RSA-PSS', 'SHA-256'), 'SHA-256');
    expect(hasSigned(new X509Certificate(pss).publicKey, readCertificate(pss))).toBeUndefined();
    const der = await selfSigned(ec('P-256'), 'SHA-256');
    const { publicKey: key } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    expect(hasSigned(key, readCertificate(der))).toBeUndefined();
  });
});
