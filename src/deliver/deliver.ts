import { X509Certificate } from 'node:crypto';
import { GoogleError, ProvisioningError } from '../errors.ts';
import type { IssuedFacts } from '../journal/process-record.ts';
import { end, endedMeanwhile, type House, type Step, type Visit } from '../visit.ts';
import { encodePem } from '../x509/pem.ts';

/*
 * Upload the leaf alone: the device takes exactly one certificate. What is uploaded is what was written
 * down, and an upload that failed never leads to a new order. Whether a repeated upload is accepted is
 * unknown, so a 400 is believed only after Google's record was looked at.
 */
export async function deliver(visit: Visit, house: House, signal: AbortSignal): Promise<Step> {
  const { record } = visit;
  const { issued } = record;
  if (issued === undefined) throw new Error('The record has no certificate.');
  const certificate = Buffer.from(issued.certificate, 'base64');
  try {
    await house.api.uploadCertificate(visit.entry, encodePem('CERTIFICATE', certificate), signal);
    return end(record, 'delivered', 'Uploaded.');
  } catch (error) {
    if (!(error instanceof GoogleError)) throw error;
    if (error.code === 'google-rejected') return lookAgain(visit, issued, error, house, signal);
    if (house.clock.now() >= new X509Certificate(certificate).validToDate.getTime()) {
      throw new ProvisioningError('certificate-expired-undelivered', error.message);
    }
    throw error;
  }
}

async function lookAgain(
  visit: Visit,
  issued: IssuedFacts,
  error: GoogleError,
  house: House,
  signal: AbortSignal,
): Promise<Step> {
  const process = await house.api.get(visit.entry, signal);
  if (process.issuedCertificate !== undefined && holds(process.issuedCertificate, issued)) {
    return end(visit.record, 'delivered', 'Uploaded by an earlier attempt.');
  }
  const over = endedMeanwhile(visit.record, process);
  if (over !== undefined) return over;
  throw error;
}

function holds(pem: string, issued: IssuedFacts): boolean {
  try {
    return new X509Certificate(pem).raw.toString('base64') === issued.certificate;
  } catch {
    // Google's record holds something that is no certificate: then it surely is not ours.
    return false;
  }
}
