import { X509Certificate } from 'node:crypto';
import type { ProvisioningError } from '../errors.ts';
import type { ProcessRecord } from '../journal/process-record.ts';
import type { Events } from '../telemetry/events.ts';
import type { Authority } from './authority.ts';
import type { RevocationReason, Subject } from './certificate-authority.ts';

/* What becomes of certificates that nobody gets, as far as operators must hear of it. */

/** A process and the authority that may have issued for it. */
export interface Party {
  readonly authority: Authority;
  readonly processId: string;
  readonly subject?: Subject;
  readonly events: Events;
}

/**
 * Revokes what was issued and will not be delivered, where the adapter can; operators hear of it either way. Throws when
 * the authority could not be asked now.
 */
export async function disown(
  party: Party,
  record: ProcessRecord,
  reason: RevocationReason,
  signal: AbortSignal,
): Promise<void> {
  const { issued } = record;
  if (issued === undefined) return;
  const certificate = Buffer.from(issued.certificate, 'base64');
  if (isAnothersCa(certificate, record)) {
    report(party, record, false, 'The answer led with a CA’s certificate.');
    return;
  }
  const revoked = await party.authority.revoke(certificate, reason, signal);
  report(party, record, revoked, revoked ? 'Revoked.' : 'This kind of authority cannot revoke.');
}

/** {@link disown} for a moment that does not come back: what fails is reported instead of thrown. */
export async function disownOrReport(
  party: Party,
  record: ProcessRecord,
  reason: RevocationReason,
  signal: AbortSignal,
): Promise<void> {
  try {
    await disown(party, record, reason, signal);
  } catch (error) {
    report(party, record, false, error instanceof Error ? error.message : String(error));
  }
}

/**
 * An order without an answer may have brought a certificate that nobody knows: operators hear of it, unless the next
 * order finds that one. Without an error an instance ended before it heard the answer.
 */
export function reportUnanswered(
  { authority, processId, events, ...who }: Party,
  requestId: string,
  error?: ProvisioningError,
): void {
  const { idempotent, findsEarlier = false } = authority.features;
  if (idempotent || findsEarlier) return;
  const why = error === undefined ? 'was lost' : `was not understood (${error.message})`;
  events.emit('orphan', {
    processId,
    ...who,
    authority: authority.reference,
    requestId,
    revoked: false,
    message: `The answer to the order ${requestId} ${why}: if the authority shows a certificate for it that was not delivered, revoke that one.`,
  });
}

/** The authority has forgotten an order that it had in hand: no later one finds what may have come of it. */
export function reportLost(
  { authority, processId, events }: Party,
  requestId: string,
  reason: string,
): void {
  events.emit('orphan', {
    processId,
    authority: authority.reference,
    requestId,
    revoked: false,
    message: `The order ${requestId} is lost and placed again (${reason}): if the authority shows a certificate for it, revoke that one.`,
  });
}

function report(
  { authority, processId, events, ...who }: Party,
  { issued }: ProcessRecord,
  revoked: boolean,
  message: string,
): void {
  const serialNumber = issued?.serialNumber;
  events.emit('orphan', {
    processId,
    ...who,
    authority: authority.reference,
    revoked,
    message,
    ...(serialNumber === undefined ? {} : { serialNumber }),
  });
}

/** An answer in the wrong order leads with the authority's own certificate: that one must stay good. */
function isAnothersCa(certificate: Uint8Array, { request }: ProcessRecord): boolean {
  try {
    const { ca, publicKey } = new X509Certificate(certificate);
    const key = publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
    return ca && key !== request?.subjectPublicKeyInfo;
  } catch {
    // What cannot be read is no CA's certificate, and the adapter may know what to do with it.
    return false;
  }
}
