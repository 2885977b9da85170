import { GoogleError, ProvisioningError } from '../errors.ts';
import type { ProvisioningProcess } from '../google/process.ts';
import type { ProcessRecord, RequestFacts } from '../journal/process-record.ts';
import {
  type CertificateProfile,
  wantedFromProfile,
  wantedFromScepProfile,
} from '../profile/profile.ts';
import { nameOfProfile, nameOfScepProfile } from '../profile/profile-name.ts';
import type { Subject } from '../request/requested-certificate.ts';
import { algorithmOfKey } from '../request/signature-algorithm.ts';
import { findProcess } from '../visit/find-process.ts';
import { heard, isConfirmed, verdictPauseMs } from '../visit/second-look.ts';
import {
  end,
  endedMeanwhile,
  type Step,
  type Visit,
  type VisitContext,
  withRefusal,
} from '../visit/visit.ts';
import {
  holdUnmatched,
  isUnmatched,
  stillUnmatched,
  unknownAuthority,
  unknownProfile,
} from './unmatched.ts';

/*
 * Claim a process for ourselves. Google gives a process to one callerInstanceId, for ever, and never says
 * whose it is. So the id is written down before the first attempt and every repeat uses it, on whichever
 * instance. A first, clear 400 means that another has it. A 400 to a repeated attempt may be the echo of
 * our own success: then the process itself is looked at, twice with a pause, because a rival that is alive
 * would have asked for the signature by then. A first, clear one is heard twice before it is believed.
 */

/** How long an untouched process is watched before a doubtful claim is believed to be ours. */
const doubtPauseMs = verdictPauseMs;

export async function claim(
  visit: Visit,
  context: VisitContext,
  signal: AbortSignal,
): Promise<Step> {
  const before = visit.record.claim;
  if (before === undefined) {
    const still = stillUnmatched(visit.record, context);
    if (still !== undefined) return still;
    const { process, record } = await findProcess(visit, context, signal);
    const looked = firstLook(record, process, context);
    if (looked.kind !== 'onward') return looked;
    return attempt(visit, looked.record, 'first', context, signal);
  }
  if (before.doubtedAt !== undefined) return settleDoubt(visit, context, signal);
  const refused = visit.record.verdict?.kind === 'claimed-by-other';
  const now = context.clock.now();
  if (refused && !isConfirmed(visit.record, 'claimed-by-other', now)) {
    return heard(visit.record, 'claimed-by-other', now);
  }
  // A rival that is alive has asked for the signature meanwhile.
  const rival = lookForRival(visit.record, await context.api.get(visit.entry, signal));
  return rival ?? attempt(visit, visit.record, refused ? 'refused' : 'repeated', context, signal);
}

/** What Google's record says before the claim: closed without a further call, or worth claiming. */
function firstLook(
  record: ProcessRecord,
  process: ProvisioningProcess,
  context: VisitContext,
): Step {
  const over = endedMeanwhile(record, process);
  if (over !== undefined) return over;
  if (process.signData !== undefined) {
    return end(record, 'yielded', 'Another adapter has already asked the device to sign.');
  }
  try {
    const { unmatched: _found, ...rest } = record;
    return { kind: 'onward', record: { ...rest, request: requestFacts(process, context) } };
  } catch (error) {
    if (!(error instanceof ProvisioningError) || error.disposition !== 'refuse') throw error;
    const { subject } = process;
    const known = subject === undefined ? record : { ...record, subject };
    if (isUnmatched(error)) {
      if (context.unmatched === 'ignore') return end(known, 'yielded', error.message);
      const held =
        context.unmatched === 'hold' ? holdUnmatched(known, process, context) : undefined;
      if (held !== undefined) return held;
    }
    // Only the adapter that has claimed a process may refuse it, so the refusal waits for the claim.
    return { kind: 'onward', record: withRefusal(known, error, context.clock.now()) };
  }
}

/**
 * @param history what is known of earlier attempts: none was made, one that was clearly refused, or one of which
 * nobody knows what became
 */
async function attempt(
  visit: Visit,
  { verdict, ...record }: ProcessRecord,
  history: 'first' | 'refused' | 'repeated',
  context: VisitContext,
  signal: AbortSignal,
): Promise<Step> {
  const intention = record.claim ?? {
    callerInstanceId: context.instance,
    intendedAt: context.clock.now(),
  };
  const intended: ProcessRecord = { ...record, claim: intention };
  let isWritten = false;
  const writeDown = async () => {
    if (!isWritten) await visit.save(intended);
    isWritten = true;
  };
  try {
    const { processId, customer: announced } = visit.entry;
    const process = { processId, customer: record.customer ?? announced };
    await context.api.claim(process, intention.callerInstanceId, writeDown, signal);
  } catch (error) {
    if (!(error instanceof GoogleError)) throw error;
    if (error.code !== 'google-rejected') {
      // Google surely did nothing, so what it said before still stands.
      if (verdict !== undefined && !error.unclear) await visit.save({ ...intended, verdict });
      throw error;
    }
    if (history === 'repeated' || error.unclear)
      return beginDoubt(visit, intended, context, signal);
    if (history === 'first') return heard(intended, 'claimed-by-other', context.clock.now());
    return end(intended, 'yielded', `Claimed by another adapter: ${error.message}`);
  }
  return claimed(intended, context);
}

async function beginDoubt(
  visit: Visit,
  record: ProcessRecord,
  context: VisitContext,
  signal: AbortSignal,
): Promise<Step> {
  const rival = lookForRival(record, await context.api.get(visit.entry, signal));
  if (rival !== undefined) return rival;
  const doubted = {
    ...record,
    claim: { ...claimFacts(record), doubtedAt: context.clock.now() },
  };
  return { kind: 'wait', record: doubted, forMs: doubtPauseMs };
}

async function settleDoubt(
  visit: Visit,
  context: VisitContext,
  signal: AbortSignal,
): Promise<Step> {
  // The doubt was written down with a rest, by the journal's one clock, and this visit comes after it.
  const rival = lookForRival(visit.record, await context.api.get(visit.entry, signal));
  return rival ?? claimed(visit.record, context);
}

function lookForRival(record: ProcessRecord, process: ProvisioningProcess) {
  const over = endedMeanwhile(record, process);
  if (over !== undefined) return over;
  return process.signData === undefined
    ? undefined
    : end(record, 'yielded', 'Another adapter has claimed the process and asked for a signature.');
}

function claimed(record: ProcessRecord, context: VisitContext): Step {
  const claim = { ...claimFacts(record), claimedAt: context.clock.now() };
  return { kind: 'onward', record: { ...record, claim } };
}

function claimFacts(record: ProcessRecord) {
  if (record.claim === undefined) throw new Error('The record has no claim.');
  return record.claim;
}

/** Who asks for what, from whom: everything of Google's record that later steps need. */
function requestFacts(process: ProvisioningProcess, context: VisitContext): RequestFacts {
  const { authority, profile, subject, subjectPublicKeyInfo } = process;
  if (subjectPublicKeyInfo === undefined) throw incomplete('subjectPublicKeyInfo');
  if (authority === undefined) throw incomplete('genericCaConnection or scepCaConnection');
  if (profile === undefined) throw incomplete('genericProfile or scepProfile');
  if (subject === undefined) throw incomplete('chromeOsDevice or chromeOsUserSession');
  const configured = context.authorities.get(authority);
  if (configured === undefined) throw unknownAuthority(authority, context);
  const { keyType } = algorithmOfKey(subjectPublicKeyInfo);
  if (!configured.features.keyTypes.includes(keyType)) {
    throw new ProvisioningError(
      'key-unsupported',
      `The authority ${authority} does not take ${keyType.toUpperCase()} keys.`,
    );
  }
  return {
    ...wantedBy(profile, process, subject, context),
    subjectPublicKeyInfo: Buffer.from(subjectPublicKeyInfo).toString('base64'),
    keyType,
    authority,
    subject,
  };
}

function wantedBy(
  profile: NonNullable<ProvisioningProcess['profile']>,
  { provisioningProfileId = 'SCEP profile' }: ProvisioningProcess,
  subject: Subject,
  context: VisitContext,
): Pick<RequestFacts, 'wanted' | 'profile'> {
  if (profile.kind === 'scep') {
    const wanted = wantedFromScepProfile(profile.scep, context.scepDefaults, subject);
    return { wanted, profile: nameOfScepProfile(provisioningProfileId, wanted) };
  }
  const { reference } = profile;
  const configured = configuredProfile(reference, context);
  return {
    wanted: wantedFromProfile(configured, subject),
    profile: nameOfProfile(reference, configured),
  };
}

function configuredProfile(reference: string, context: VisitContext): CertificateProfile {
  const profile = context.profiles.get(reference);
  if (profile !== undefined) return profile;
  throw unknownProfile(reference, context);
}

function incomplete(field: string): ProvisioningError {
  return new ProvisioningError('process-incomplete', `Google's process has no readable ${field}.`);
}
