import { createPublicKey, type KeyObject } from 'node:crypto';
import { provider, x509 } from '../../src/x509/x509-library.ts';

const signingAlgorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
const dayMs = 86_400_000;
/** Longer than any order may stay pending. */
const validForMs = 400 * dayMs;
const clockSkewMs = dayMs;
const usages = x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment;

/**
 * Makes self-signed certificates (DER) for an RSA key, with which a client that has none speaks SCEP (RFC 8894 2.3).
 * The subject is a Name, DER; `now` is milliseconds since the epoch.
 */
export async function certifierOf(
  key: KeyObject,
): Promise<(subject: Uint8Array, now: number) => Promise<Uint8Array>> {
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' });
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const keys = {
    privateKey: await provider.subtle.importKey('pkcs8', pkcs8, signingAlgorithm, false, ['sign']),
    publicKey: await provider.subtle.importKey('spki', spki, signingAlgorithm, true, ['verify']),
  };
  return async (subject, now) => {
    const certificate = await x509.X509CertificateGenerator.createSelfSigned(
      {
        name: new x509.Name(new Uint8Array(subject)),
        notBefore: new Date(now - clockSkewMs),
        notAfter: new Date(now + validForMs),
        keys,
        signingAlgorithm,
        extensions: [new x509.KeyUsagesExtension(usages, true)],
      },
      provider,
    );
    return new Uint8Array(certificate.rawData);
  };
}
