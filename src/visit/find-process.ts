import { GoogleError } from '../errors.ts';
import type { ProvisioningProcess } from '../google/process.ts';
import type { ProvisioningApi } from '../google/provisioning-api.ts';
import type { ProcessRecord } from '../journal/process-record.ts';
import type { Visit } from './visit.ts';

/**
 * Google's record of a process that is not claimed yet, and our record with the customer under which it was found.
 * An id may be announced under a wrong customer first: then it is looked for under each it was announced under.
 *
 * @throws {GoogleError} when it is under none: one that leaves hope, where there is one.
 */
export async function findProcess(
  { entry, record: { customer: _before, ...record } }: Pick<Visit, 'entry' | 'record'>,
  context: { readonly api: Pick<ProvisioningApi, 'get'> },
  signal: AbortSignal,
): Promise<{ readonly process: ProvisioningProcess; readonly record: ProcessRecord }> {
  const { processId, customer: first, otherCustomers = [] } = entry;
  let problem: GoogleError | undefined;
  for (const customer of [first, ...otherCustomers]) {
    try {
      const process = await context.api.get({ customer, processId }, signal);
      return { process, record: customer === first ? record : { ...record, customer } };
    } catch (error) {
      if (!(error instanceof GoogleError) || !mayBeElsewhere(error)) throw error;
      if (problem === undefined || error.code === 'google-forbidden') problem = error;
    }
  }
  throw problem ?? new Error('A process was announced under no customer.');
}

/** Google does not say which of the two ids it does not like. */
function mayBeElsewhere({ code }: GoogleError): boolean {
  return code === 'google-not-found' || code === 'google-forbidden' || code === 'google-rejected';
}
