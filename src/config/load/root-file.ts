import { readCertificateFile } from '../../plug-in/pem-file.ts';
import { readCertificate } from '../../x509/certificate.ts';

/**
 * The root certificates of a file, DER each.
 * @throws when it cannot be read, or has no certificate; the message says which.
 */
export async function readRootFile(file: string): Promise<readonly Uint8Array[]> {
  const certificates = await readCertificateFile(file);
  // A root that only OpenSSL can read would be found out with the first certificate below it.
  for (const der of certificates) readCertificate(der);
  return certificates;
}
