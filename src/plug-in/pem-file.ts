import { X509Certificate } from 'node:crypto';
import { z } from 'zod';
import { readOwnCertificates } from '../x509/pem.ts';
import { readLimited } from './read-limited.ts';

/*
 * Files with certificates that options name. The schema carries the mark `certificates`, by which check-config finds
 * them in the options of any kind and reads them: what cannot be used should be reported there, and not at the first
 * call.
 */

/** A file of CA certificates is a few of them; a whole system's are under 300 KiB. In bytes. */
const largestBytes = 1024 * 1024;

/** The path of a file with certificates: PEM, DER, or a bag of them (.p7b). */
export const certificateFile = z.string().min(1).meta({ certificates: true });

/**
 * The certificates in a file, DER each; each of them can be used for TLS.
 *
 * @param path absolute.
 * @throws {Error} with a sentence that says what is wrong, without the path.
 */
export async function readCertificateFile(path: string): Promise<Uint8Array[]> {
  const bytes = await readLimited(path, largestBytes);
  if (bytes === undefined) throw new Error('it is larger than 1 MiB');
  const certificates = readOwnCertificates(bytes);
  for (const der of certificates) new X509Certificate(der);
  return certificates;
}
