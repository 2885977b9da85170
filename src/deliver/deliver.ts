import { GoogleError, ProvisioningError } from '../errors.ts';
import type { ProvisioningProcess } from '../google/process.ts';
import type { IssuedFacts } from '../journal/process-record.ts';
import { leafOf } from '../request/leaf.ts';
import { heard, isConfirmed } from '../visit/second-look.ts';
import { end, endedMeanwhile, type Step, type Visit, type VisitContext } from '../visit/visit.ts';
import { decodePem, encodePem, PemError } from '../x509/pem.ts';

/*
 * Upload the leaf alone: the device takes exactly one certificate. What is uploaded is what was written
 * down, and an upload that failed never leads to a new order. Whether a repeated upload is accepted is
 * unknown, so a 400 is believed only after Google's record was looked at. When the process has gone, an
 * earlier attempt whose answer was lost may have brought the certificate to its device all the same.
 */
export async function deliver(
  visit: Visit,
  context: VisitContext,
  signal: AbortSignal,
): Promise<Step> {
  const { record } = visit;
  const { issued } = record;
  if (issued === undefined) throw new Error('The record has no certificate.');
  const leaf = leafOf(issued);
  try {
    await context.api.uploadCertificate(visit.entry, encodePem('CERTIFICATE', leaf.der), signal);
    return end(record, 'delivered', 'Uploaded.');
  } catch (error) {
    if (!(error instanceof GoogleError)) throw error;
    // 409 ABORTED is a matter of time, and may be how a second upload is refused.
    if (error.code === 'google-rejected' || error.status === 409) {
      return lookAgain(visit, issued, error, context, signal);
    }
    if (error.code === 'google-not-found') return notFound(visit, issued, error, context);
    if (context.clock.now() >= leaf.facts.notAfter) {
      throw new ProvisioningError('certificate-expired-undelivered', error.message);
    }
    throw error;
  }
}

async function lookAgain(
  visit: Visit,
  issued: IssuedFacts,
  error: GoogleError,
  context: VisitContext,
  signal: AbortSignal,
): Promise<Step> {
  let process: ProvisioningProcess;
  try {
    process = await context.api.get(visit.entry, signal);
  } catch (gone) {
    if (!(gone instanceof GoogleError) || gone.code !== 'google-not-found') throw gone;
    return notFound(visit, issued, gone, context);
  }
  if (process.issuedCertificate !== undefined && holds(process.issuedCertificate, issued)) {
    return end(visit.record, 'delivered', 'Uploaded by an earlier attempt.');
  }
  const over = endedMeanwhile(visit.record, process);
  if (over !== undefined) return over;
  if (error.code !== 'google-rejected') throw error;
  const now = context.clock.now();
  if (!isConfirmed(visit.record, 'upload-refused', now)) {
    return heard(visit.record, 'upload-refused', now);
  }
  throw new ProvisioningError('google-rejected', error.message, { cause: error });
}

/** Only a certificate that came in this very visit has surely not been uploaded before. */
function notFound(
  visit: Visit,
  issued: IssuedFacts,
  error: GoogleError,
  context: VisitContext,
): Step {
  const cameBefore = visit.entry.record.issued;
  const wasOffered = cameBefore !== undefined && cameBefore.faultCode === undefined;
  const mayBeInUse = wasOffered || error.unclear;
  const record = mayBeInUse
    ? { ...visit.record, issued: { ...issued, mayBeInUse: true as const } }
    : visit.record;
  return heard(record, 'gone', context.clock.now());
}

function holds(pem: string, issued: IssuedFacts): boolean {
  try {
    const [held] = decodePem(pem, 'CERTIFICATE');
    return held !== undefined && Buffer.compare(held.der, leafOf(issued).der) === 0;
  } catch (error) {
    // Google's record holds something that is not a certificate: then it is surely not ours.
    if (error instanceof PemError) return false;
    throw error;
  }
}
