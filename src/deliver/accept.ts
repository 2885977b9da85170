import type { Authority } from '../authority/authority.ts';
import { ProvisioningError } from '../errors.ts';
import type { IssuedFacts, OrderFacts, ProcessRecord } from '../journal/process-record.ts';
import { leafOf } from '../request/leaf.ts';
import { authorityFor, orderedAnew, prepareRequest, profileOf } from '../visit/issue-request.ts';
import { disown, partyOf } from '../visit/orphan.ts';
import { type Step, type Visit, type VisitContext, withRefusal } from '../visit/visit.ts';
import { checkCertificate } from './check-certificate.ts';

/** How long a certificate that fails its check is kept for a corrected configuration to accept it. */
const faultPauseMs = 15 * 60_000;

/** How many certificates an authority may issue for one process before it is believed to mean it. */
const mostOrders = 3;

/**
 * Checks what was issued. A certificate that fails is kept for a while, so that a corrected configuration can accept
 * it; then it is revoked and ordered anew, a few times, because the fault is the authority's and a refusal would cost
 * the person at the device a day. As long as every certificate fails, it is kept.
 */
export async function accept(
  visit: Visit,
  context: VisitContext,
  signal: AbortSignal,
): Promise<Step> {
  const { record } = visit;
  const { issued, order: placed } = record;
  if (issued === undefined || placed === undefined) throw new Error('Nothing was issued.');
  const authority = authorityFor(record, context);
  try {
    check(record, issued, authority, context.clock.now());
    authority.proven(profileOf(record));
    return { kind: 'onward', record };
  } catch (error) {
    if (!(error instanceof ProvisioningError)) throw error;
    return keepOrRenew(visit, { issued, placed, error }, context, signal);
  }
}

interface Fault {
  readonly issued: IssuedFacts;
  readonly placed: OrderFacts;
  readonly error: ProvisioningError;
}

async function keepOrRenew(visit: Visit, fault: Fault, context: VisitContext, signal: AbortSignal) {
  const { record, entry } = visit;
  const { issued, placed, error } = fault;
  const authority = authorityFor(record, context);
  const profile = profileOf(record);
  const request = prepareRequest(record, entry, placed.number);
  const isNew = issued.faultCode === undefined;
  const held = await authority.failed({ request, profile, isNew }, error);
  const noted = withFault(record, fault, held !== undefined);
  if (noted !== record) await visit.save(noted);
  if (held !== undefined) {
    if (isNew || !(await authority.missesTries(profile))) throw held;
  } else if (isNew) {
    throw new ProvisioningError(error.code, error.message, { retryAfterMs: faultPauseMs });
  }
  const { number, doubted: notBelieved = 0, lost = 0 } = noted.order ?? placed;
  if (held === undefined && number - notBelieved - lost >= mostOrders) {
    return { kind: 'onward', record: withRefusal(noted, error, context.clock.now()) } as const;
  }
  await disown(partyOf(visit, noted, context), noted, 'superseded', signal);
  return {
    kind: 'onward',
    record: reordered(noted, noted.order ?? placed, entry.processId),
  } as const;
}

/** That its certificate fails, and once that this is not believed; the same record when that is known. */
function withFault(record: ProcessRecord, { issued, placed, error }: Fault, isDoubted: boolean) {
  const isToCount = isDoubted && issued.doubted === undefined;
  if (issued.faultCode !== undefined && !isToCount) return record;
  const faultCode = issued.faultCode ?? error.code;
  if (!isToCount) return { ...record, issued: { ...issued, faultCode } };
  return {
    ...record,
    issued: { ...issued, faultCode, doubted: true as const },
    order: { ...placed, doubted: (placed.doubted ?? 0) + 1 },
  };
}

function check(record: ProcessRecord, issued: IssuedFacts, authority: Authority, now: number) {
  const { request } = record;
  if (request === undefined) throw new Error('The record has no request.');
  return checkCertificate({
    certificate: leafOf(issued),
    chain: issued.chain.map((der) => Buffer.from(der, 'base64')),
    subjectPublicKeyInfo: Buffer.from(request.subjectPublicKeyInfo, 'base64'),
    wanted: request.wanted,
    roots: authority.roots,
    mayDrop: authority.mayDrop,
    mayAdd: authority.mayAdd,
    now,
  });
}

function reordered(record: ProcessRecord, placed: OrderFacts, processId: string): ProcessRecord {
  const { issued: _thrownAway, ...rest } = record;
  return orderedAnew(rest, placed, processId);
}
