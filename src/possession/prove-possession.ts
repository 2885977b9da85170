import { GoogleError, ProvisioningError } from '../errors.ts';
import type { ProvisioningProcess } from '../google/process.ts';
import { type SignDataOperation, signDataServerSeconds } from '../google/provisioning-api.ts';
import { ageOf } from '../journal/age.ts';
import type { ProcessRecord, SigningFacts } from '../journal/process-record.ts';
import type { CsrAdditions } from '../plug-in/certificate-authority.ts';
import type { CsrNames } from '../request/requested-certificate.ts';
import { keyAlgorithms } from '../request/signature-algorithm.ts';
import { backoffMs, pollBackoff, troubleBackoff } from '../time/retry.ts';
import { authorityFor, prepareRequest, profileOf } from '../visit/issue-request.ts';
import { heard, isConfirmed } from '../visit/second-look.ts';
import {
  end,
  endedMeanwhile,
  type Step,
  type Visit,
  type VisitContext,
  whoOf,
} from '../visit/visit.ts';
import { certificationRequestInfo } from './certification-request.ts';
import { bytesToBeSigned, calledNow, proven, requestOf, signingOf } from './signing-facts.ts';

/*
 * The device proves that it holds its key by signing a CSR's to-be-signed bytes. It may be asked once
 * only: a device that is asked twice fails the process. So the exact bytes are written down before the
 * call, a lost or unclear answer is never repeated blindly, and Google's record, which shows signData once
 * it was called, decides: there, we wait for the signature; not there after a pause longer than any call
 * still under way could take, we ask.
 */

/**
 * A signData call that has not been carried out this long after it left will not be: Google is told to give
 * it up after {@link signDataServerSeconds}, and the rest is for the way and for Google's record to show it.
 */
const carriedOutWithinMs = signDataServerSeconds * 1_000 + 2_000;
/** The least pause: after a 503, that the call was not taken up, and after an answer that was long in coming. */
const leastPauseMs = 3_000;

/** Asks the device to sign, once. */
export async function askForSignature(
  visit: Visit,
  context: VisitContext,
  signal: AbortSignal,
): Promise<Step> {
  const { record } = visit;
  if (record.signing !== undefined) return askAgain(visit, record.signing, context, signal);
  const authority = authorityFor(record, context);
  const request = prepareRequest(record, visit.entry, 1);
  const additions = await authority.prepare(request, profileOf(record), signal);
  const names = authority.csrNames(request.wanted);
  return ask(visit, withIntention(record, names, additions, context), context, signal);
}

/** Fixes the exact bytes to be signed. Key usages that the authority chose are those it is held to later. */
function withIntention(
  record: ProcessRecord,
  names: CsrNames,
  additions: CsrAdditions,
  context: VisitContext,
): ProcessRecord {
  const request = requestOf(record);
  const keyUsages = additions.keyUsages ?? request.wanted.keyUsages;
  const wanted = { ...request.wanted, keyUsages };
  const subjectPublicKeyInfo = Buffer.from(request.subjectPublicKeyInfo, 'base64');
  const toBeSigned = certificationRequestInfo({
    subjectPublicKeyInfo,
    wanted: { ...wanted, subject: names.subject, subjectAltNames: names.subjectAltNames },
    additions,
  });
  const signing: SigningFacts = {
    toBeSigned: Buffer.from(toBeSigned).toString('base64'),
    algorithm: keyAlgorithms[request.keyType].google,
    intendedAt: context.clock.now(),
    polls: 0,
    ...(additions.state === undefined ? {} : { prepared: additions.state }),
    ...(additions.expiresAt === undefined ? {} : { preparedUntil: additions.expiresAt }),
  };
  return { ...record, request: { ...request, wanted }, signing };
}

/** An earlier visit meant to call signData, or called it and did not hear what became of it. */
async function askAgain(
  visit: Visit,
  signing: SigningFacts,
  context: VisitContext,
  signal: AbortSignal,
): Promise<Step> {
  const { record } = visit;
  // The look has to begin after the pause: its answer may come long after Google took it from its record.
  const found = whatGoogleHas(record, signing, await context.api.get(visit.entry, signal), context);
  if (found !== undefined) return found;
  // A visit that crashed, or a zombie of it, may have sent the call just before its lease ran out.
  const { pauseOwedMs = carriedOutWithinMs, ...again } = signing;
  if (pauseOwedMs > 0) {
    const { verdict } = record;
    const still = verdict === undefined ? {} : { verdict };
    const waiting = { ...record, signing: { ...again, pauseOwedMs: 0 } };
    return { kind: 'wait', record: waiting, forMs: pauseOwedMs, ...still };
  }
  // Left without a pause, a crash from here on is a crash in an unclear call once more.
  return ask(visit, { ...record, signing: again }, context, signal);
}

async function ask(
  visit: Visit,
  record: ProcessRecord,
  context: VisitContext,
  signal: AbortSignal,
): Promise<Step> {
  const signing = signingOf(record);
  let leftAt = context.clock.now();
  // The journal refuses this write to a visit that was overtaken, whatever its own clocks say.
  const writeDown = async () => {
    await visit.save(record);
    visit.guard();
    leftAt = context.clock.now();
  };
  try {
    const data = bytesToBeSigned(signing);
    const { api } = context;
    const operation = await api.signData(visit.entry, data, signing.algorithm, writeDown, signal);
    const called = { ...calledNow(record, context), operation: operation.name };
    const forMs = backoffMs(pollBackoff, 0, context.random);
    return { kind: 'wait', record: { ...record, signing: called }, forMs };
  } catch (error) {
    if (!(error instanceof GoogleError)) throw error;
    if (error.unclear) {
      await visit.save(unclear(record, error, leftAt, context));
      throw error;
    }
    if (error.code !== 'google-rejected') {
      // Google surely did nothing: no pause is owed, only the backoff that the error earns.
      await visit.save({ ...record, signing: { ...signing, pauseOwedMs: 0 } });
      throw error;
    }
    const process = await context.api.get(visit.entry, signal);
    const found = whatGoogleHas(record, signing, process, context);
    if (found !== undefined) return found;
    const now = context.clock.now();
    if (isConfirmed(record, 'signing-refused', now)) {
      throw new ProvisioningError('signing-refused', error.message, { cause: error });
    }
    const untouched = { ...record, signing: { ...signing, pauseOwedMs: 0 } };
    return heard(untouched, 'signing-refused', now);
  }
}

/** It is looked at soon, and asked again after a pause that grows: nobody knows how long it stays like this. */
function unclear(
  { verdict: _uncertain, ...record }: ProcessRecord,
  error: GoogleError,
  leftAt: number,
  context: VisitContext,
): ProcessRecord {
  const before = signingOf(record).unclearCalls ?? 0;
  const paceMs = Math.max(leastPauseMs, backoffMs(troubleBackoff, before, context.random));
  const leftMs = leftAt + carriedOutWithinMs - context.clock.now();
  const pauseOwedMs = error.status === 503 ? paceMs : Math.max(paceMs, leftMs);
  return { ...record, signing: { ...signingOf(record), pauseOwedMs, unclearCalls: before + 1 } };
}

/** Undefined: signData has not been called as far as Google's record shows. */
function whatGoogleHas(
  record: ProcessRecord,
  signing: SigningFacts,
  process: ProvisioningProcess,
  context: VisitContext,
): Step | undefined {
  const over = endedMeanwhile(record, process);
  if (over !== undefined) return over;
  if (process.signData === undefined) return undefined;
  if (!bytesToBeSigned(signing).equals(process.signData)) {
    return end(record, 'yielded', 'Another adapter has asked the device to sign other data.');
  }
  const called = { ...record, signing: calledNow(record, context) };
  if (process.signature !== undefined) return proven(called, process.signature);
  const forMs = backoffMs(pollBackoff, 0, context.random);
  return { kind: 'wait', record: called, forMs };
}

/** Looks whether the device has signed, and verifies what it signed. */
export async function collectSignature(
  visit: Visit,
  context: VisitContext,
  signal: AbortSignal,
): Promise<Step> {
  const { record } = visit;
  const signing = signingOf(record);
  const operation = await lookUp(visit, signing, context, signal);
  if (operation.kind === 'end') return operation;
  switch (operation.kind) {
    case 'done':
      return proven(record, operation.signature);
    case 'failed':
      return signingFailed(visit, operation.message, context, signal);
    case 'running': {
      const deadline = (signing.calledAge ?? 0) + context.signingDeadlineMs;
      const leftMs = deadline - ageOf(record, context.clock.now());
      if (leftMs <= 0) {
        throw new ProvisioningError(
          'signing-timeout',
          `The device did not sign within ${context.signingDeadlineMs / 3_600_000} hours.`,
        );
      }
      const told = tellUnsigned(visit, signing, context);
      const looked = { ...record, signing: { ...told, polls: signing.polls + 1 } };
      const pauseMs = backoffMs(pollBackoff, signing.polls + 1, context.random);
      return { kind: 'wait', record: looked, forMs: Math.min(pauseMs, leftMs) };
    }
    default:
      return operation satisfies never;
  }
}

const hourMs = 3_600_000;

/** A device that has not signed is told about once an hour. */
function tellUnsigned(
  { entry, record }: Visit,
  signing: SigningFacts,
  context: VisitContext,
): SigningFacts {
  const sinceAt = signing.calledAt ?? signing.intendedAt;
  const hours = Math.floor((context.clock.now() - sinceAt) / hourMs);
  if (hours <= (signing.hoursTold ?? 0)) return signing;
  const { authority } = record.request ?? {};
  context.events.emit('unsigned', {
    processId: entry.processId,
    ...whoOf(record),
    hours,
    ...(authority === undefined ? {} : { authority }),
  });
  return { ...signing, hoursTold: hours };
}

type LookUp = Exclude<Step, { kind: 'onward' | 'wait' }> | SignDataOperation;

/**
 * By the operation where its name is known; by the process otherwise, and where the operation has gone or says
 * nothing.
 */
async function lookUp(
  visit: Visit,
  signing: SigningFacts,
  context: VisitContext,
  signal: AbortSignal,
): Promise<LookUp> {
  if (signing.operation !== undefined) {
    try {
      return await context.api.operation(signing.operation, signal);
    } catch (error) {
      if (!(error instanceof GoogleError) || !saysNothing(error)) throw error;
    }
  }
  const process = await context.api.get(visit.entry, signal);
  const over = endedMeanwhile(visit.record, process);
  if (over !== undefined) return over;
  const name = signing.operation ?? '';
  return process.signature === undefined
    ? { kind: 'running', name }
    : { kind: 'done', name, signature: process.signature };
}

function saysNothing({ code }: GoogleError): boolean {
  return code === 'google-not-found' || code === 'google-rejected' || code === 'google-bad-answer';
}

/** An operation's error ends the process where Google says so; otherwise we refuse it. */
async function signingFailed(
  visit: Visit,
  message: string,
  context: VisitContext,
  signal: AbortSignal,
): Promise<Step> {
  const process = await context.api.get(visit.entry, signal);
  const over = endedMeanwhile(visit.record, process);
  if (over !== undefined) return { ...over, code: 'signing-refused' };
  const now = context.clock.now();
  if (!isConfirmed(visit.record, 'signing-failed', now)) {
    return heard(visit.record, 'signing-failed', now);
  }
  throw new ProvisioningError('signing-refused', `The signing operation failed: ${message}`);
}
