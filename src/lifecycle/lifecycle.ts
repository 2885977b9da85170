import { tracingChannel } from 'node:diagnostics_channel';
import { HeldError } from '../authority/held.ts';
import { claim } from '../claim/claim.ts';
import { accept } from '../deliver/accept.ts';
import { deliver } from '../deliver/deliver.ts';
import { refuse } from '../deliver/refuse.ts';
import { windUp } from '../deliver/wind-up.ts';
import { GoogleError, ProvisioningError } from '../errors.ts';
import { answered, collect, order } from '../issue/issue.ts';
import { ageOf } from '../journal/age.ts';
import type { ProcessRecord } from '../journal/process-record.ts';
import { askForSignature, collectSignature } from '../possession/prove-possession.ts';
import type { Room } from '../request/room.ts';
import { type Backoff, backoffMs, bugBackoff, troubleBackoff } from '../time/retry.ts';
import { heard, isConfirmed, lookForGone, settleVerdict } from '../visit/second-look.ts';
import { end, type Step, type Visit, type VisitContext, withRefusal } from '../visit/visit.ts';

/*
 * The state machine.
 *
 *   claim              Google's record is read; the process is claimed, or left to another.
 *   ask-signature      the CSR's bytes are fixed and the device is asked to sign them, once.
 *   await-signature    minutes or hours: the operation is looked at until the device has signed.
 *   order              the verified CSR goes to the authority.
 *   await-certificate  the authority has the order in hand.
 *   deliver            the certificate is checked, then uploaded.
 *   refuse             the device is told why there is no certificate.
 *   wind-up            the process ended with a certificate nobody will get: it is revoked.
 *
 * The state is never stored: it follows from what is known (stateOf), so a crash between any two writes
 * leaves a record that says where to go on. A visit calls advance() until it has to wait or has come to
 * an end; afterTrouble() turns an error into one of the two.
 */

export const states = [
  'claim',
  'ask-signature',
  'await-signature',
  'order',
  'await-certificate',
  'deliver',
  'refuse',
  'wind-up',
] as const;

export type State = (typeof states)[number];

export function stateOf(record: ProcessRecord): State {
  if (record.ending !== undefined) return 'wind-up';
  if (record.claim?.claimedAt === undefined) return 'claim';
  if (record.refusal !== undefined) return 'refuse';
  if (record.issued !== undefined) return 'deliver';
  if (record.order?.ticket !== undefined) return 'await-certificate';
  if (record.csr !== undefined) return 'order';
  if (record.signing?.calledAt !== undefined) return 'await-signature';
  return 'ask-signature';
}

const roomOfState = {
  claim: 'claim',
  'ask-signature': 'possession',
  'await-signature': 'possession',
  order: 'issue',
  'await-certificate': 'issue',
  deliver: 'deliver',
  refuse: 'deliver',
  'wind-up': 'deliver',
} as const satisfies Record<State, Room>;

export function roomOf(record: ProcessRecord): Room {
  return roomOfState[stateOf(record)];
}

/** What {@link steps} tells its subscribers. */
export interface StepContext {
  readonly processId: string;
  readonly state: State;
}

/** `certprov.step`, one trace for each step of a visit: for profilers, and for tests that end the process in one. */
export const steps = tracingChannel<unknown, StepContext>('certprov.step');

/** Takes the next step. Throws what went wrong; the caller asks {@link afterTrouble} what follows. */
export async function advance(
  visit: Visit,
  context: VisitContext,
  signal: AbortSignal,
): Promise<Step> {
  const state = stateOf(visit.record);
  const about = { processId: visit.entry.processId, state };
  const step = await steps.tracePromise(() => takeStep(state, visit, context, signal), about);
  return endOrWindUp(settleVerdict(step), context.clock.now());
}

/** A process that ends with a certificate nobody will get is wound up first. */
function endOrWindUp(step: Step, decidedAt: number): Step {
  if (step.kind !== 'end' || step.outcome === 'delivered') return step;
  const { outcome, code, message, record } = step;
  if (record.issued === undefined || record.ending !== undefined) return step;
  const decidedAge = ageOf(record, decidedAt);
  const ending = {
    outcome,
    message,
    decidedAt,
    decidedAge,
    ...(code === undefined ? {} : { code }),
  };
  return { kind: 'onward', record: { ...record, ending } };
}

function takeStep(
  state: State,
  visit: Visit,
  context: VisitContext,
  signal: AbortSignal,
): Promise<Step> {
  const { verdict } = visit.record;
  if (verdict?.kind === 'gone' && state !== 'wind-up') {
    return lookForGone(visit, context, verdict, signal);
  }
  switch (state) {
    case 'claim':
      return claim(visit, context, signal);
    case 'ask-signature':
      return askForSignature(visit, context, signal);
    case 'await-signature':
      return collectSignature(visit, context, signal);
    case 'order':
      return order(visit, context, signal);
    case 'await-certificate':
      return collect(visit, context, signal);
    case 'deliver':
      return checkAndDeliver(visit, context, signal);
    case 'refuse':
      return refuse(visit, context, signal);
    case 'wind-up':
      return windUp(visit, context, signal);
    default:
      return state satisfies never;
  }
}

async function checkAndDeliver(
  visit: Visit,
  context: VisitContext,
  signal: AbortSignal,
): Promise<Step> {
  const accepted = await accept(visit, context, signal);
  if (accepted.kind !== 'onward' || stateOf(accepted.record) !== 'deliver') return accepted;
  return deliver(visit, context, signal);
}

/** A process that was never claimed cannot be refused either; after so many deadlines it has surely gone. */
const unclaimedDeadlines = 2;

type Limits = Pick<VisitContext, 'issuingDeadlineMs' | 'random'>;

/** What follows from an error, by who must act. Pure: the record, the hour and chance decide. */
export function afterTrouble(
  error: unknown,
  record: ProcessRecord,
  limits: Limits,
  now: number,
): Step {
  if (!(error instanceof ProvisioningError)) return wait(record, 'bug', bugBackoff, limits, now);
  return afterAnswer(error, answered(record, error), limits, now);
}

function afterAnswer(
  error: ProvisioningError,
  record: ProcessRecord,
  limits: Limits,
  now: number,
): Step {
  const state = stateOf(record);
  if (error instanceof GoogleError) {
    const isConfirmedGone = hasGone(error, state) && isConfirmed(record, 'gone', now);
    if (isConfirmedGone || (state === 'claim' && isHopeless(error, record, limits, now))) {
      return endOrWindUp(end(record, 'gone', error.message, error.code), now);
    }
    if (hasGone(error, state)) return settleVerdict(heard(record, 'gone', now));
  }
  if (mayRefuse(state) && isOver(error, record, limits, now)) {
    return { kind: 'onward', record: withRefusal(record, error, now) };
  }
  const step = wait(record, error.code, troubleBackoff, limits, now);
  const { retryAfterMs = 0 } = error;
  // A held process only has to check whether it still is, and goes on soon after it no longer is.
  const forMs = error instanceof HeldError ? retryAfterMs : Math.max(step.forMs, retryAfterMs);
  return { ...step, forMs };
}

/** Before the claim it is not ours to refuse, and a refusal or an ending is not refused again. */
function mayRefuse(state: State): boolean {
  return state !== 'claim' && state !== 'refuse' && state !== 'wind-up';
}

function isOver(
  error: ProvisioningError,
  record: ProcessRecord,
  limits: Limits,
  now: number,
): boolean {
  // Google's own trouble has no deadline: while it lasts, a refusal could not be delivered either. Where its
  // unexplained 4xx is a verdict, the room says so; a look at something decides nothing.
  if (error instanceof GoogleError) return false;
  return error.disposition === 'refuse' || waitedMs(record, now) >= limits.issuingDeadlineMs;
}

/** An id that Google cannot even read is like one that it does not know. */
function hasGone({ code }: GoogleError, state: State): boolean {
  return code === 'google-not-found' || (state === 'claim' && code === 'google-rejected');
}

/** Only what Google itself says about this process grows old: an outage, of whatever length, says nothing. */
function isHopeless(error: GoogleError, record: ProcessRecord, limits: Limits, now: number) {
  const ofThisProcess = error.code === 'google-forbidden' || error.code === 'google-bad-answer';
  const age = ageOf(record, now);
  const lastedMs = age - (record.trouble === undefined ? age : (record.trouble.sinceAge ?? 0));
  return ofThisProcess && lastedMs >= unclaimedDeadlines * limits.issuingDeadlineMs;
}

/** For how long an authority's trouble was waited out, counted from the first time it was needed. */
function waitedMs(record: ProcessRecord, now: number): number {
  const { order, trouble } = record;
  if (order === undefined && trouble === undefined) return 0;
  const since = order === undefined ? trouble?.sinceAge : order.intendedAge;
  return ageOf(record, now) - (since ?? 0);
}

function wait(record: ProcessRecord, code: string, backoff: Backoff, limits: Limits, now: number) {
  const { trouble } = record;
  const repeated = trouble?.code === code ? trouble.count : 0;
  const { since, sinceAge = 0 } = trouble ?? { since: now, sinceAge: ageOf(record, now) };
  return {
    kind: 'wait' as const,
    record: { ...record, trouble: { code, count: repeated + 1, since, sinceAge } },
    forMs: backoffMs(backoff, repeated, limits.random),
  };
}
