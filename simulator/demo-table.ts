import { X509Certificate } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { certificationRequest } from '../src/possession/certification-request.ts';
import { algorithmOfKey } from '../src/request/signature-algorithm.ts';
import { encodePem } from '../src/x509/pem.ts';
import type { ProcessView } from './simulated-process.ts';

/** Keeps each certificate, and the CSR that the device signed for it, as PEM files for openssl to look at. */
export async function keepEvidence(
  processes: readonly ProcessView[],
  directory: string,
): Promise<void> {
  const certificates = join(directory, 'certificates');
  const requests = join(directory, 'requests');
  await mkdir(certificates, { recursive: true });
  await mkdir(requests, { recursive: true });
  for (const process of processes) {
    const file = `${fileNameOf(process)}.pem`;
    if (process.certificatePem !== undefined) {
      await writeFile(join(certificates, file), process.certificatePem);
    }
    const { signData, signature, subjectPublicKeyInfo } = process;
    if (signData === undefined || signature === undefined) continue;
    const { keyType } = algorithmOfKey(Buffer.from(subjectPublicKeyInfo, 'base64'));
    const csr = certificationRequest(
      Buffer.from(signData, 'base64'),
      keyType,
      Buffer.from(signature, 'base64'),
    );
    await writeFile(join(requests, file), encodePem('CERTIFICATE REQUEST', csr));
  }
}

/** Prints who got which certificate; returns the exit status: 0 when everybody holds an accepted certificate. */
export function printTable(processes: readonly ProcessView[], directory: string): number {
  const rows = processes.map(rowOf);
  const header = ['who', 'subject', 'serial', 'not after', 'seconds'];
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  for (const row of [header, ...rows]) {
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    );
  }
  const accepted = processes.filter((process) => process.device.accepted).length;
  const where = relative('.', join(directory, 'certificates'));
  console.log(`${accepted} of ${processes.length} hold an accepted certificate; see ${where}/`);
  return accepted === processes.length ? 0 : 1;
}

function rowOf(process: ProcessView): string[] {
  const { certificatePem, device } = process;
  if (certificatePem === undefined || !device.accepted) {
    const problem = process.failureMessage ?? device.problem ?? `still ${process.state}`;
    return [process.who, `NONE: ${problem}`, '', '', ''];
  }
  const certificate = new X509Certificate(certificatePem);
  const { startedAt, endedAt } = process.times;
  const tookMs = endedAt === undefined ? undefined : endedAt - startedAt;
  return [
    process.who,
    certificate.subject.split('\n').reverse().join(','),
    certificate.serialNumber,
    certificate.validToDate.toISOString().slice(0, 10),
    tookMs === undefined ? '' : (tookMs / 1_000).toFixed(2),
  ];
}

function fileNameOf({ who, id }: ProcessView): string {
  return `${who.replaceAll(/[^\w.@-]/g, '_')}-${id.slice(0, 8)}`;
}
