import type { IssueRequest } from '../../src/plug-in/certificate-authority.ts';
import { readCertificate } from '../../src/x509/certificate.ts';

/** More is not read when the chain is checked. */
const longestChain = 20;

/**
 * Of an answer's certificates (DER) the one with the order's key, wherever it stands; undefined when none has it.
 *
 * @param authorities the CA's own, which an answer may leave out.
 * @throws {Error} with a sentence, when one cannot be read.
 */
export function ownCertificate(
  certificates: readonly Uint8Array[],
  { subjectPublicKeyInfo }: Pick<IssueRequest, 'subjectPublicKeyInfo'>,
  authorities: readonly Uint8Array[] = [],
): { readonly certificate: Uint8Array; readonly chain: readonly Uint8Array[] } | undefined {
  const key = Buffer.from(subjectPublicKeyInfo);
  const leaf = certificates.find((der) => key.equals(readCertificate(der).subjectPublicKeyInfo));
  return leaf && { certificate: leaf, chain: chainOf(leaf, [...certificates, ...authorities]) };
}

/** The others, each once. */
export function chainOf(leaf: Uint8Array, certificates: readonly Uint8Array[]): Uint8Array[] {
  const text = (der: Uint8Array) => Buffer.from(der).toString('base64');
  const others = new Map(certificates.map((der) => [text(der), der]));
  others.delete(text(leaf));
  return [...others.values()].slice(0, longestChain);
}
