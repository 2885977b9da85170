import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { type ConnectionOptions, checkServerIdentity } from 'node:tls';
import { messageOf } from '../words/message-of.ts';
import { encodePem, readOwnCertificates } from '../x509/pem.ts';
import { privateKeyPem } from '../x509/private-key.ts';
import { JournalError } from './journal.ts';
import type { PostgresHost, PostgresPlace, PostgresTls } from './postgres-url.ts';

/**
 * What a connection to a host is secured with. The files are read for each: they may have been renewed since.
 *
 * @throws {JournalError} that names the file.
 */
export async function secureOptions(
  tls: PostgresTls,
  { host, certifiedAs = host }: Pick<PostgresHost, 'host' | 'certifiedAs'>,
): Promise<ConnectionOptions> {
  if (tls.kind === 'none') return {};
  const { rootFile, certificateFile, keyFile } = tls;
  const ca = rootFile && (await readFor('sslrootcert', rootFile, certificatesPem));
  const cert = certificateFile && (await readFor('sslcert', certificateFile, certificatesPem));
  const key = keyFile && (await readFor('sslkey', keyFile, privateKeyPem));
  return {
    ...(ca ? { ca } : {}),
    ...(cert ? { cert } : {}),
    ...(key ? { key } : {}),
    rejectUnauthorized: tls.kind !== 'unverified',
    // The driver itself puts only a host's name in here.
    ...(isIP(certifiedAs) === 0 ? { servername: certifiedAs } : {}),
    // By the name that was configured: the driver would compare an address with “localhost”.
    checkServerIdentity: (_name, certificate) =>
      tls.kind === 'verify-full' ? checkServerIdentity(certifiedAs, certificate) : undefined,
  };
}

/** @throws {JournalError} that names the file. */
async function readFor(
  parameter: string,
  path: string,
  read: (bytes: Uint8Array) => string,
): Promise<string> {
  try {
    return read(await readFile(path));
  } catch (error) {
    throw new JournalError(
      `journal.url's ${parameter} ${path} cannot be used: ${messageOf(error)}`,
    );
  }
}

function certificatesPem(bytes: Uint8Array): string {
  return readOwnCertificates(bytes)
    .map((der) => encodePem('CERTIFICATE', der))
    .join('');
}

/** Looks whether the files that a connection needs can be used. @throws {JournalError} that names the file. */
export async function checkTlsFiles({ tls }: PostgresPlace): Promise<void> {
  await secureOptions(tls, { host: 'localhost' });
}
