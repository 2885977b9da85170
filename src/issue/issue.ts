import { DoubtedRejectionError } from '../authority/held.ts';
import { mayHaveIssued, ProvisioningError } from '../errors.ts';
import { ageOf } from '../journal/age.ts';
import { LeaseLostError } from '../journal/journal.ts';
import type { IssuedFacts, ProcessRecord } from '../journal/process-record.ts';
import type { Collected } from '../plug-in/certificate-authority.ts';
import { Leaf, noteLeaf } from '../request/leaf.ts';
import {
  authorityFor,
  issueRequest,
  orderedAnew,
  profileOf,
  requestIdOf,
} from '../visit/issue-request.ts';
import { disownOrReport, partyOf, reportLost, reportUnanswered } from '../visit/orphan.ts';
import type { Step, Visit, VisitContext } from '../visit/visit.ts';

/*
 * From a verified CSR to a certificate that may be uploaded. The order's intention is written with its
 * requestId before the authority is asked, and what it answers is written before anything else is done
 * with it. Where an authority knows no idempotency key, the moment between its answer and our note is the
 * one place where two certificates could be born; docs/develop/lifecycle.md says so.
 */

/** Bounds of what an authority may ask us to wait before it is asked again. */
const shortestPollMs = 1_000;
const longestPollMs = 6 * 60 * 60_000;

/** An order that was lost again is placed anew after this long, doubling. */
const lostPauseMs = 30_000;
const longestLostPauseMs = 60 * 60_000;

/** Places the order, or places it again with the same requestId after a crash or a failure. */
export async function order(
  visit: Visit,
  context: VisitContext,
  signal: AbortSignal,
): Promise<Step> {
  const { record, entry } = visit;
  const authority = authorityFor(record, context);
  const preparedUntil = record.signing?.preparedUntil;
  if (preparedUntil !== undefined && context.clock.now() > preparedUntil) {
    const { problem } = authority;
    const why = problem === undefined ? '' : ` It ran out while orders waited: ${problem.message}`;
    throw new ProvisioningError(
      'preparation-expired',
      `What prepare() returned has expired, and a device signs only once.${why}`,
    );
  }
  const number = record.order?.number ?? 1;
  const now = context.clock.now();
  const placed = record.order ?? {
    number,
    requestId: requestIdOf(entry.processId, number),
    intendedAt: now,
    intendedAge: ageOf(record, now),
    polls: 0,
  };
  const party = partyOf(visit, record, context);
  // An instance that ended in between left it so.
  if (record.order?.asking === true) reportUnanswered(party, placed.requestId);
  const intended: ProcessRecord = { ...record, order: { ...placed, asking: true } };
  const writeDown = async () => {
    visit.guard();
    await visit.save(intended);
    // This visit may have stood still during the write, and have been overtaken.
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
  return receive(visit, answered(intended), issuance, context);
}

/**
 * A rejection that is not believed: an authority may reject one request id for ever, so the next order gets its own.
 */
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

/** Asks about an order that the authority has in hand. */
export async function collect(
  visit: Visit,
  context: VisitContext,
  signal: AbortSignal,
): Promise<Step> {
  const { record, entry } = visit;
  const placed = record.order;
  if (placed?.ticket === undefined) throw new Error('The record has no ticket.');
  const waitedMs = ageOf(record, context.clock.now()) - (placed.intendedAge ?? 0);
  if (waitedMs >= context.issuingDeadlineMs) {
    throw new ProvisioningError('ca-undecided', 'The authority has not decided in time.');
  }
  const authority = authorityFor(record, context);
  const issuance = await authority
    .collect(placed.ticket, issueRequest(record, entry), profileOf(record), signal)
    .catch((error: unknown) => {
      // Without a ticket the look was an order like the first.
      const isOrder = placed.ticket === null && error instanceof ProvisioningError;
      if (isOrder && mayHaveIssued(error)) {
        reportUnanswered(partyOf(visit, record, context), placed.requestId, error);
      }
      return doubted(visit, record, error);
    });
  return receive(visit, record, issuance, context);
}

async function receive(
  visit: Visit,
  record: ProcessRecord,
  issuance: Collected,
  context: VisitContext,
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
      const forMs = Math.round(askedMs * (1 + context.random() / 4));
      return { kind: 'wait', record: { ...record, order: waiting }, forMs };
    }
    case 'lost': {
      reportLost(partyOf(visit, record, context), placed.requestId, issuance.reason);
      const { lost = 0 } = placed;
      const again = orderedAnew(record, { ...placed, lost: lost + 1 }, visit.entry.processId);
      // The first time is worth a try at once; an authority that loses every order is not asked without end.
      const laterMs = Math.min(longestLostPauseMs, lostPauseMs * 2 ** Math.min(lost - 1, 10));
      return { kind: 'wait', record: again, forMs: lost === 0 ? shortestPollMs : laterMs };
    }
    case 'issued': {
      const leaf = new Leaf(issuance.certificate);
      const { serialNumber } = leaf;
      const issued: IssuedFacts = {
        certificate: leaf.der.toString('base64'),
        chain: issuance.chain.map((der) => Buffer.from(der).toString('base64')),
        issuedAt: context.clock.now(),
        ...(serialNumber === undefined ? {} : { serialNumber }),
      };
      noteLeaf(issued, leaf);
      const received = { ...record, issued };
      await keep(visit, received, context);
      return { kind: 'onward', record: received };
    }
    default:
      return issuance satisfies never;
  }
}

/** Writes the certificate down. When the process was taken over meanwhile, ours may be a surplus one. */
async function keep(visit: Visit, received: ProcessRecord, context: VisitContext) {
  try {
    await visit.save(received);
  } catch (error) {
    const authority = authorityFor(received, context);
    const { idempotent, findsEarlier = false } = authority.features;
    // Such an authority gives the other visit the very same certificate: that must stay good.
    const mayBeShared = idempotent || findsEarlier;
    if (error instanceof LeaseLostError && !mayBeShared) {
      // The visit's own signal may be aborted already, by a heartbeat that found out first.
      const { signal } = new AbortController();
      await disownOrReport(partyOf(visit, received, context), received, 'superseded', signal);
    }
    throw error;
  }
}
