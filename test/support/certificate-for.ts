import 'reflect-metadata';
import { X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';

/** A certificate (PEM) over this SubjectPublicKeyInfo (base64 DER), signed by a CA of the moment. */
export async function certificateFor(spkiBase64: string): Promise<string> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const ca = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.create({
    subject: 'CN=a device',
    issuer: 'CN=a CA of the moment',
    publicKey: new x509.PublicKey(Buffer.from(spkiBase64, 'base64')),
    signingKey: ca.privateKey,
    signingAlgorithm: algorithm,
    notBefore: new Date('2026-01-01T00:00:00Z'),
    notAfter: new Date('2036-01-01T00:00:00Z'),
  });
  return new X509Certificate(Buffer.from(certificate.rawData)).toString();
}
