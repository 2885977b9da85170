import { ProvisioningError } from '../../src/errors.ts';
import { messageOf } from '../../src/words/message-of.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { DerError, DerReader, tag } from '../../src/x509/der.ts';
import { PemError, readCertificates } from '../../src/x509/pem.ts';
import { certificatesOfPkcs7 } from '../../src/x509/pkcs7.ts';

/** Base64 in lines of 76 columns, ended by CRLF (RFC 7030 4, RFC 2045 6.8). */
export function encodeBase64Lines(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,76}/g) ?? [];
  return `${lines.join('\r\n')}\r\n`;
}

/**
 * The certificates of a certs-only answer, DER. Base64 with or without line breaks (RFC 8951 3.1) is what the
 * protocol promises; some servers send DER or PEM, and these are read too.
 *
 * @throws {ProvisioningError} `ca-bad-answer`.
 */
export function readCertificatesAnswer(body: Buffer, what: string): Uint8Array[] {
  return readable(what, () => {
    const text = textOf(body);
    const certificates = text?.startsWith('-----')
      ? readCertificates(text)
      : certificatesOfPkcs7(decoded(body, text));
    for (const certificate of certificates) readCertificate(certificate);
    if (certificates.length === 0) throw new DerError('It holds no certificate');
    return certificates;
  });
}

/** One DER value; zeros behind it are passed over. @throws {ProvisioningError} `ca-bad-answer`. */
export function readDerAnswer(body: Buffer, what: string): Uint8Array {
  return readable(what, () => {
    const all = decoded(body, textOf(body));
    const { bytes } = new DerReader(all, what).next();
    if (all.subarray(bytes.length).every((byte) => byte === 0)) return bytes;
    throw new DerError('Something follows it');
  });
}

function decoded(body: Buffer, text: string | undefined): Uint8Array {
  if (text === undefined) return body;
  const base64 = text.replace(/\s+/g, '');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64) || base64.length % 4 !== 0) {
    throw new DerError('It is neither base64 nor DER');
  }
  return Buffer.from(base64, 'base64');
}

/**
 * Undefined for DER: base64 of a SEQUENCE begins with “M”, never with the byte 0x30. libest ends what it is configured
 * with by the NUL of a C string.
 */
function textOf(body: Buffer): string | undefined {
  return body[0] === tag.sequence
    ? undefined
    : body
        .toString('latin1')
        .replace(/[\s\0]+$/, '')
        .trim();
}

function readable<Result>(what: string, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    if (error instanceof ProvisioningError) throw error;
    const known = error instanceof DerError || error instanceof PemError;
    const reason = messageOf(error);
    if (!known && !(error instanceof Error)) throw error;
    throw new ProvisioningError('ca-bad-answer', `${what} cannot be read: ${reason}`, {
      cause: error,
    });
  }
}
