import { ageOf } from '../age.ts';
import { mayHaveIssued, ProvisioningError } from '../errors.ts';
import { LeaseLostError } from '../journal/journal.ts';
import type { IssuedFacts, OrderFacts, ProcessRecord } from '../journal/process-record.ts';
import { type House, type Step, type Visit, whoOf, withRefusal } from '../visit.ts';
import { serialNumberOf } from '../x509/certificate.ts';
import type { Authority } from './authority.ts';
import type { Collected } from './certificate-authority.ts';
import { checkCertificate } from './check-certificate.ts';
import { disown, disownOrReport, type Party, reportLost, reportUnanswered } from './disown.ts';
import { DoubtedRejectionError } from './held.ts';
import {
  authorityOf,
  issueRequest,
  prepareRequest,
  profileOf,
  requestIdOf,
} from './issue-request.ts';

/*
 * From a verified CSR to a certificate that may be uploaded. The order's intention is written with its
 * requestId before the authority is asked, and what it answers is written before anything else is done
 * with it. Where an authority knows no idempotency key, the moment between its answer and our note is the
 * one place where two certificates could be born; docs/lifecycle.md says so.
 */

/** Bounds of what an authority may ask us to wait before it is asked again. */
const shortestPollMs = 1_000;
const longestPollMs = 6 * 60 * 60_000;

/** An order that was lost again is placed anew after this long, doubling. */
const lostPauseMs = 30_000;
const longestLostPauseMs = 60 * 60_000;

/** How long a certificate that fails its check is kept for a corrected configuration to accept it. */
const faultPauseMs = 15 * 60_000;

/** How many certificates an authority may issue for one process before it is believed to mean it. */
const mostOrders = 3;

/** Places the order, or places it again with the same requestId after a crash or a failure. */
export async function order(visit: Visit, house: House, signal: AbortSignal): Promise<Step> {
  const { record, entry } = visit;
  const authority = authorityOf(record, house);
  const preparedUntil = record.signing?.preparedUntil;
  if (preparedUntil !== undefined && house.clock.now() > preparedUntil) {
    const { problem } = authority;
    const why = problem === undefined ? '' : ` It ran out while orders waited: ${problem.message}`;
    throw new ProvisioningError(
      'preparation-expired',
      `What prepare() returned has expired, and a device signs only once.${why}`,
    );
  }
  const number = record.order?.number ?? 1;
  const now = house.clock.now();
  const placed = record.order ?? {
    number,
    requestId: requestIdOf(entry.processId, number),
    intendedAt: now,
    intendedAge: ageOf(record, now),
    polls: 0,
  };
  const party = partyOf(visit, record, house);
  // An instance that ended in between left it so.
  if (record.order?.asking === true) reportUnanswered(party, placed.requestId);
  const intended: ProcessRecord = { ...record, order: { ...placed, asking: true } };
  const writeDown = async () => {
    visit.guard();
    await visit.save(intended);
    // This visit may have stood still while it was written, and have been overtaken.
    visit.guard();
  };
  const isAgain = (placed.doubted ?? 0) > 0;
  const ordering = { profile: profileOf(record), isAgain, writeDown };
  const issuance = await authority
    .issue(issueRequest(intended, entry), ordering, signal)
    .catch((error: unknown) => {
      if (error instanceof ProvisioningError && mayHaveIssued(error)) {
        reportUnanswered(party, placed.requestId, error);
      }
      return doubted(visit, intended, error);
    });
  return receive(visit, answered(intended), issuance, house);
}

/** A rejection that is not believed: what was rejected under one request id may be so for ever, so the next gets its own. */
async function doubted(visit: Visit, record: ProcessRecord, error: unknown): Promise<never> {
  const { order: placed } = record;
  if (error instanceof DoubtedRejectionError && placed !== undefined) {
    const again = { ...placed, doubted: (placed.doubted ?? 0) + 1 };
    await visit.save(orderedAnew(record, again, visit.entry.processId));
  }
  throw error;
}

/** The authority's answer is known, or its error, which may mean that there was none (it was told then). */
export function answered(record: ProcessRecord, error?: ProvisioningError): ProcessRecord {
  if (record.order?.asking === undefined) return record;
  const { asking: _known, ...placed } = record.order;
  if (error === undefined || !mayHaveIssued(error)) return { ...record, order: placed };
  return { ...record, order: { ...placed, unanswered: (placed.unanswered ?? 0) + 1 } };
}

/** Asks after an order that the authority has in hand. */
export async function collect(visit: Visit, house: House, signal: AbortSignal): Promise<Step> {
  const { record, entry } = visit;
  const placed = record.order;
  if (placed?.ticket === undefined) throw new Error('The record has no ticket.');
  const waitedMs = ageOf(record, house.clock.now()) - (placed.intendedAge ?? 0);
  if (waitedMs >= house.issuingDeadlineMs) {
    throw new ProvisioningError('ca-undecided', 'The authority has not decided in time.');
  }
  const authority = authorityOf(record, house);
  const issuance = await authority
    .collect(placed.ticket, issueRequest(record, entry), profileOf(record), signal)
    .catch((error: unknown) => {
      // Without a ticket the look was an order like the first.
      const isOrder = placed.ticket === null && error instanceof ProvisioningError;
      if (isOrder && mayHaveIssued(error)) {
        reportUnanswered(partyOf(visit, record, house), placed.requestId, error);
      }
      return doubted(visit, record, error);
    });
  return receive(visit, record, issuance, house);
}

async function receive(
  visit: Visit,
  record: ProcessRecord,
  issuance: Collected,
  house: House,
): Promise<Step> {
  const { order: placed } = record;
  if (placed === undefined) throw new Error('Nothing was ordered.');
  switch (issuance.kind) {
    case 'rejected':
      throw new ProvisioningError('ca-rejected', issuance.reason);
    case 'pending': {
      const waiting = { ...placed, ticket: issuance.ticket, polls: placed.polls + 1 };
      const askedMs = Math.min(longestPollMs, Math.max(shortestPollMs, issuance.pollAfterMs));
      // Never less than the authority asked for, and not all at the same moment.
      const forMs = Math.round(askedMs * (1 + house.random() / 4));
      return { kind: 'wait', record: { ...record, order: waiting }, forMs };
    }
    case 'lost': {
      reportLost(partyOf(visit, record, house), placed.requestId, issuance.reason);
      const { lost = 0 } = placed;
      const again = orderedAnew(record, { ...placed, lost: lost + 1 }, visit.entry.processId);
      // The first time is worth a try at once; who loses every order is not asked without end.
      const laterMs = Math.min(longestLostPauseMs, lostPauseMs * 2 ** Math.min(lost - 1, 10));
      return { kind: 'wait', record: again, forMs: lost === 0 ? shortestPollMs : laterMs };
    }
    case 'issued': {
      const issued: IssuedFacts = {
        certificate: Buffer.from(issuance.certificate).toString('base64'),
        chain: issuance.chain.map((der) => Buffer.from(der).toString('base64')),
        issuedAt: house.clock.now(),
        ...readableSerial(issuance.certificate),
      };
      const received = { ...record, issued };
      await keep(visit, received, house);
      return { kind: 'onward', record: received };
    }
    default:
      return issuance satisfies never;
  }
}

/** For people; a certificate that cannot be read fails its check later. */
function readableSerial(certificate: Uint8Array): { serialNumber?: string } {
  try {
    return { serialNumber: serialNumberOf(certificate) };
  } catch {
    return {};
  }
}

/** Writes the certificate down. When the process was taken over meanwhile, ours may be a surplus one. */
async function keep(visit: Visit, received: ProcessRecord, house: House) {
  try {
    await visit.save(received);
  } catch (error) {
    const authority = authorityOf(received, house);
    const { idempotent, findsEarlier = false } = authority.features;
    // Such an authority gives the other visit the very same certificate: that must stay good.
    const mayBeShared = idempotent || findsEarlier;
    if (error instanceof LeaseLostError && !mayBeShared) {
      // The visit's own signal may be aborted already, by a heartbeat that found out first.
      const { signal } = new AbortController();
      await disownOrReport(partyOf(visit, received, house), received, 'superseded', signal);
    }
    throw error;
  }
}

/**
 * Checks what was issued. A certificate that fails is kept for a while, so that a corrected configuration
 * can accept it; then it is revoked and ordered anew, a few times, since the fault is the authority's and a
 * refusal would cost the person at the device a day. As long as every certificate fails it is kept.
 */
export async function accept(visit: Visit, house: House, signal: AbortSignal): Promise<Step> {
  const { record } = visit;
  const { issued, order: placed } = record;
  if (issued === undefined || placed === undefined) throw new Error('Nothing was issued.');
  const authority = authorityOf(record, house);
  try {
    check(record, issued, authority, house.clock.now());
    authority.proven(profileOf(record));
    return { kind: 'onward', record };
  } catch (error) {
    if (!(error instanceof ProvisioningError)) throw error;
    return keepOrRenew(visit, { issued, placed, error }, house, signal);
  }
}

interface Fault {
  readonly issued: IssuedFacts;
  readonly placed: OrderFacts;
  readonly error: ProvisioningError;
}

async function keepOrRenew(visit: Visit, fault: Fault, house: House, signal: AbortSignal) {
  const { record, entry } = visit;
  const { issued, placed, error } = fault;
  const authority = authorityOf(record, house);
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
    return { kind: 'onward', record: withRefusal(noted, error, house.clock.now()) } as const;
  }
  await disown(partyOf(visit, noted, house), noted, 'superseded', signal);
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
    certificate: Buffer.from(issued.certificate, 'base64'),
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

/** The next order, under a request id of its own. */
function orderedAnew(record: ProcessRecord, before: OrderFacts, processId: string): ProcessRecord {
  const { asking: _answered, ticket: _decided, ...kept } = before;
  const number = kept.number + 1;
  const requestId = requestIdOf(processId, number);
  return { ...record, order: { ...kept, number, requestId, polls: 0 } };
}

function partyOf({ entry }: Visit, record: ProcessRecord, house: House): Party {
  const { events } = house;
  const authority = authorityOf(record, house);
  return { authority, processId: entry.processId, events, ...whoOf(record) };
}
