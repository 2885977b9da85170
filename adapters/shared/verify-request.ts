import type { IssueRequest } from '../../src/plug-in/certificate-authority.ts';
import { DerError, DerReader, readBitString, tag } from '../../src/x509/der.ts';
import { isSignedBy } from '../../src/x509/signed-by.ts';

/** Why an order must not be certified: a CSR (RFC 2986 4) for another key, or one whose signature is not the key's. */
export function requestProblem(request: IssueRequest): string | undefined {
  try {
    const csr = new DerReader(request.csr, 'The CSR').into('The CSR');
    const info = csr.next(tag.sequence);
    csr.next(tag.sequence);
    const signature = readBitString(csr.next(tag.bitString));
    const fields = new DerReader(info.content, 'The CertificationRequestInfo');
    fields.next(tag.integer);
    fields.next(tag.sequence);
    const subjectPublicKeyInfo = Buffer.from(fields.next(tag.sequence).bytes);
    if (!subjectPublicKeyInfo.equals(request.subjectPublicKeyInfo)) {
      return 'The CSR is for another key than the order.';
    }
    return isGood(subjectPublicKeyInfo, info.bytes, signature)
      ? undefined
      : 'The signature of the CSR is not valid.';
  } catch (error) {
    if (error instanceof DerError) return `The CSR cannot be read: ${error.message}`;
    throw error;
  }
}

function isGood(key: Buffer, bytes: Uint8Array, signature: Uint8Array): boolean {
  try {
    return isSignedBy(key, bytes, signature);
  } catch {
    return false; // A key that cannot be read has signed nothing; OpenSSL's reason would tell nobody more.
  }
}
