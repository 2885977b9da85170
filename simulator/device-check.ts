import { X509Certificate } from 'node:crypto';

const pemBlock = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g;

/**
 * What a ChromeOS device checks before it imports a certificate, and nothing more: there is exactly one, it
 * parses, and its SubjectPublicKeyInfo equals the device's own byte for byte.
 *
 * @param pem what was uploaded
 * @param spki the device's SubjectPublicKeyInfo, DER
 * @returns the problem, or undefined when the device would import it
 */
export function deviceProblem(pem: string, spki: Buffer): string | undefined {
  const blocks = [...pem.matchAll(pemBlock)];
  if (blocks.length !== 1) return `expected exactly one certificate, got ${blocks.length}`;
  const der = Buffer.from(blocks[0]?.[1] ?? '', 'base64');
  try {
    const certificate = new X509Certificate(der);
    const found = subjectPublicKeyInfoOf(certificate.raw);
    return found.equals(spki) ? undefined : "the certificate's public key is not the device's";
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return `the certificate does not parse: ${reason}`;
  }
}

/**
 * The bytes of subjectPublicKeyInfo as they stand in the certificate (RFC 5280 §4.1).
 * A walk over the DER rather than a parser: a parser's re-encoding could hide a difference.
 */
function subjectPublicKeyInfoOf(certificate: Buffer): Buffer {
  const tbsCertificate = content(certificate, content(certificate, 0).start);
  let at = tbsCertificate.start;
  // version [0] EXPLICIT is there unless the certificate is v1.
  if (certificate[at] === 0xa0) at = content(certificate, at).end;
  // serialNumber, signature, issuer, validity, subject
  for (let skipped = 0; skipped < 5; skipped += 1) at = content(certificate, at).end;
  return certificate.subarray(at, content(certificate, at).end);
}

/** Where the content of the TLV at `at` starts and ends. */
function content(der: Buffer, at: number): { readonly start: number; readonly end: number } {
  const first = der.readUInt8(at + 1);
  if (first < 0x80) return { start: at + 2, end: at + 2 + first };
  const lengthBytes = first & 0x7f;
  const start = at + 2 + lengthBytes;
  return { start, end: start + der.readUIntBE(at + 2, lengthBytes) };
}
