import { readBer } from '../../src/x509/ber.ts';
import { DerError, tag } from '../../src/x509/der.ts';
import { certificatesOfPkcs7, isPkcs7 } from '../../src/x509/pkcs7.ts';

/**
 * The certificates of a SignedData, DER each: a CMC response (RFC 5272 4.1) or a plain bag; none of another content type.
 * Its signature is not looked at: each certificate is judged by its own chain.
 *
 * @throws {DerError}
 */
export function certificatesOf(der: Uint8Array): Uint8Array[] {
  if (isPkcs7(der)) return certificatesOfPkcs7(der);
  const [type] = readBer(der, 'The PKCS #7').parts;
  if (type?.tag !== tag.oid) throw new DerError('The PKCS #7 is no ContentInfo');
  return [];
}

/** Base64 with line breaks anywhere, and with or without the lines of PEM; undefined when it is none. */
export function decodeLooseBase64(text: string): Uint8Array | undefined {
  const base64 = text.replace(/-----(BEGIN|END) [A-Z0-9 ]{1,40}-----/g, '').replace(/\s+/g, '');
  if (base64 === '' || !/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) return undefined;
  return new Uint8Array(Buffer.from(base64, 'base64'));
}
