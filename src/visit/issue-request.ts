import { hash } from 'node:crypto';
import type { Authority } from '../authority/authority.ts';
import { ProvisioningError } from '../errors.ts';
import type { Notification } from '../journal/journal.ts';
import type { OrderFacts, ProcessRecord } from '../journal/process-record.ts';
import type { IssueRequest, PrepareRequest } from '../plug-in/certificate-authority.ts';
import type { VisitContext } from './visit.ts';

/** The configured authority that a process was accepted for. */
export function authorityFor(record: ProcessRecord, context: VisitContext): Authority {
  const reference = record.request?.authority;
  if (reference === undefined) throw new Error('The record has no request.');
  const authority = context.authorities.get(reference);
  if (authority !== undefined) return authority;
  // It was there when the process was claimed: a changed configuration may bring it back.
  throw new ProvisioningError(
    'ca-misconfigured',
    `authorities no longer has "${reference}", which open processes need.`,
  );
}

/**
 * The idempotency key for an authority: a hash of the process id and of the order's number, as 32
 * lower-case hexadecimal digits, so that it can be written as a UUID too.
 */
export function requestIdOf(processId: string, orderNumber: number): string {
  return hash('sha256', `${processId}/${orderNumber}`, 'hex').slice(0, 32);
}

/** What the refusal guard knows the process's profile by. */
export function profileOf(record: ProcessRecord): string {
  return record.request?.profile ?? 'unknown';
}

export function prepareRequest(
  record: ProcessRecord,
  entry: Notification,
  orderNumber: number,
): PrepareRequest {
  if (record.request === undefined) throw new Error('The record has no request.');
  const { subject, wanted, keyType } = record.request;
  const subjectPublicKeyInfo = Buffer.from(record.request.subjectPublicKeyInfo, 'base64');
  const { processId } = entry;
  const requestId = requestIdOf(processId, orderNumber);
  return { requestId, processId, keyType, subjectPublicKeyInfo, subject, wanted };
}

export function issueRequest(record: ProcessRecord, entry: Notification): IssueRequest {
  if (record.csr === undefined) throw new Error('The record has no CSR.');
  const prepared = record.signing?.prepared;
  return {
    ...prepareRequest(record, entry, record.order?.number ?? 1),
    csr: Buffer.from(record.csr, 'base64'),
    ...(prepared === undefined ? {} : { prepared }),
  };
}

/** The next order, under a request id of its own. */
export function orderedAnew(
  record: ProcessRecord,
  before: OrderFacts,
  processId: string,
): ProcessRecord {
  const { asking: _answered, ticket: _decided, ...kept } = before;
  const number = kept.number + 1;
  const requestId = requestIdOf(processId, number);
  return { ...record, order: { ...kept, number, requestId, polls: 0 } };
}
