import { X509Certificate } from 'node:crypto';
import { open } from 'node:fs/promises';
import { readCertificates } from '../x509/pem.ts';

/** A file with root certificates is a few of them. In bytes. */
const largestRootsBytes = 1024 * 1024;

/**
 * The root certificates of a file, DER each.
 * @throws when it cannot be read, or has no certificate; the message says which.
 */
export async function readRootFile(file: string): Promise<readonly Uint8Array[]> {
  const certificates = readCertificates(await readLimited(file));
  for (const der of certificates) new X509Certificate(der);
  return certificates;
}

async function readLimited(file: string): Promise<Uint8Array> {
  await using handle = await open(file, 'r');
  const buffer = Buffer.alloc(largestRootsBytes + 1);
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
  if (bytesRead > largestRootsBytes) throw new Error('it is larger than 1 MiB');
  return new Uint8Array(buffer.subarray(0, bytesRead));
}
