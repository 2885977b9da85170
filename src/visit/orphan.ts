import { X509Certificate } from 'node:crypto';
import type { Authority } from '../authority/authority.ts';
import type { ProvisioningError } from '../errors.ts';
import type { Events } from '../events/events.ts';
import type { ProcessRecord } from '../journal/process-record.ts';
import type { RevocationReason } from '../plug-in/certificate-authority.ts';
import { type Leaf, leafOf } from '../request/leaf.ts';
import type { Subject } from '../request/requested-certificate.ts';
import { messageOf } from '../words/message-of.ts';
import { authorityFor } from './issue-request.ts';
import { type Visit, type VisitContext, whoOf } from './visit.ts';

/* What becomes of certificates that nobody gets, as far as operators must hear of it. */

/** A process and the authority that may have issued for it. */
export interface Party {
  readonly authority: Authority;
  readonly processId: string;
  readonly subject?: Subject;
  readonly events: Events;
}

export function partyOf({ entry }: Visit, record: ProcessRecord, context: VisitContext): Party {
  const { events } = context;
  const authority = authorityFor(record, context);
  return { authority, processId: entry.processId, events, ...whoOf(record) };
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
  const leaf = leafOf(issued);
  if (isAnothersCa(leaf, record)) {
    report(party, record, false, 'The answer led with a CA’s certificate.');
    return;
  }
  const revoked = await party.authority.revoke(leaf.der, reason, signal);
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
    report(party, record, false, messageOf(error));
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

/** A certificate that stays valid although nobody is known to hold it: for operators to judge. */
export function reportKept(
  { entry, record }: Visit,
  { events }: VisitContext,
  message: string,
): void {
  const authority = record.request?.authority ?? 'unknown';
  const { processId } = entry;
  const who = whoOf(record);
  events.emit('orphan', {
    processId,
    ...who,
    authority,
    revoked: false,
    message,
    ...serialOf(record),
  });
}

function report(
  { authority, processId, events, ...who }: Party,
  record: ProcessRecord,
  revoked: boolean,
  message: string,
): void {
  const { reference } = authority;
  events.emit('orphan', {
    processId,
    ...who,
    authority: reference,
    revoked,
    message,
    ...serialOf(record),
  });
}

function serialOf({ issued }: ProcessRecord): { readonly serialNumber?: string } {
  return issued?.serialNumber === undefined ? {} : { serialNumber: issued.serialNumber };
}

/** An answer in the wrong order leads with the authority's own certificate: that one must stay good. */
function isAnothersCa({ der, readable }: Leaf, { request }: ProcessRecord): boolean {
  const isOurs = (key: Uint8Array) =>
    Buffer.from(key).toString('base64') === request?.subjectPublicKeyInfo;
  if (readable !== undefined) return readable.isCa && !isOurs(readable.subjectPublicKeyInfo);
  try {
    // OpenSSL reads what is not quite DER, too: a CA's certificate of that kind must stay good as well.
    const { ca, publicKey } = new X509Certificate(der);
    return ca && !isOurs(publicKey.export({ type: 'spki', format: 'der' }));
  } catch {
    // What cannot be read is no CA's certificate, and the adapter may know what to do with it.
    return false;
  }
}
