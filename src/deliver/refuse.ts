import { GoogleError, isErrorCode } from '../errors.ts';
import { heard, isConfirmed } from '../visit/second-look.ts';
import { end, type Step, type Visit, type VisitContext } from '../visit/visit.ts';

/*
 * Tell the device why there is no certificate. The device deletes its key and tries again a day later, so
 * this is the last resort. The decision is written down first: it does not change when the call is repeated.
 */
export async function refuse(
  visit: Visit,
  context: VisitContext,
  signal: AbortSignal,
): Promise<Step> {
  const { record } = visit;
  const { refusal } = record;
  if (refusal === undefined) throw new Error('The record has no refusal.');
  await visit.save(record);
  const code = isErrorCode(refusal.code) ? refusal.code : undefined;
  try {
    await context.api.setFailure(visit.entry, refusal.deviceText, signal);
  } catch (error) {
    if (!(error instanceof GoogleError) || !mayBeAnEcho(error)) throw error;
    const process = await context.api.get(visit.entry, signal);
    if (process.issuedCertificate !== undefined) {
      return end(record, 'gone', 'The process already has a certificate.', code);
    }
    if (process.failureMessage === undefined) {
      const now = context.clock.now();
      if (isGivenUp(error)) throw error;
      if (!isConfirmed(record, 'failure-refused', now))
        return heard(record, 'failure-refused', now);
      const told = `${refusal.message} (Google did not take the failure: ${error.message})`;
      return end(record, 'refused', told, code);
    }
  }
  return end(record, 'refused', refusal.message, code);
}

/** After a lost answer our own success looks like this; what has really gone, get does not find either. */
function mayBeAnEcho(error: GoogleError): boolean {
  return error.code === 'google-rejected' || error.code === 'google-not-found' || isGivenUp(error);
}

/** 409 ABORTED: for Google a matter of time, and also how a second failure may be refused. */
function isGivenUp({ code, status }: GoogleError): boolean {
  return code === 'google-unavailable' && status === 409;
}
