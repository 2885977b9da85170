import { ProvisioningError } from '../errors.ts';
import type { ProvisioningProcess } from '../google/process.ts';
import { ageOf } from '../journal/age.ts';
import type { ProcessRecord, UnmatchedFacts } from '../journal/process-record.ts';
import type { Step, VisitContext } from '../visit/visit.ts';
import { nearestName } from '../words/nearest-name.ts';

/*
 * A reference in no table is most often a typing error, here or in the Admin console, and a refusal would cost each of its devices a
 * day. So the process is held, unclaimed: another adapter may still serve it. It is looked at again at each start, which
 * costs no call, and about every hour, with a look at Google's record; after limits.unmatchedHours it is refused.
 */

const lookEveryMs = 60 * 60_000;
/** If Google's record was seen this recently, it is not asked for again. */
const freshMs = lookEveryMs * 0.7;

/** Why no authority or no profile has the reference that a process names; undefined for another error. */
export function isUnmatched(error: ProvisioningError): boolean {
  return error.code === 'authority-unknown' || error.code === 'profile-unknown';
}

/** Holds the process. Undefined when it has been held for long enough. */
export function holdUnmatched(
  record: ProcessRecord,
  { authority = '', profile }: ProvisioningProcess,
  context: VisitContext,
): Extract<Step, { kind: 'wait' }> | undefined {
  const now = context.clock.now();
  const age = ageOf(record, now);
  const sinceAge = record.unmatched?.sinceAge ?? age;
  if (age - sinceAge >= context.unmatchedDeadlineMs) return undefined;
  const named = profile?.kind === 'generic' ? { profile: profile.reference } : {};
  return wait(record, { authority, ...named, sinceAge, lookedAt: now }, context, lookEveryMs);
}

/** A look that costs no call, after a start: undefined when there is something to do. */
export function stillUnmatched(record: ProcessRecord, context: VisitContext): Step | undefined {
  const { unmatched } = record;
  if (unmatched === undefined || context.unmatched !== 'hold') return undefined;
  const leftMs = unmatched.lookedAt + freshMs - context.clock.now();
  const isKnown =
    context.authorities.has(unmatched.authority) &&
    (unmatched.profile === undefined || context.profiles.has(unmatched.profile));
  return isKnown || leftMs <= 0 || leftMs > lookEveryMs
    ? undefined
    : wait(record, unmatched, context, leftMs + lookEveryMs - freshMs);
}

function wait(
  record: ProcessRecord,
  unmatched: UnmatchedFacts,
  context: VisitContext,
  forMs: number,
) {
  const { events, random } = context;
  const isAuthority = !context.authorities.has(unmatched.authority);
  const reference = (isAuthority ? unmatched.authority : unmatched.profile) ?? '';
  const { message } = isAuthority
    ? unknownAuthority(reference, context)
    : unknownProfile(reference, context);
  const hours = context.unmatchedDeadlineMs / 3_600_000;
  events.emit('unmatched', {
    reference,
    message: `${message} Its processes are held and refused after ${hours} hours (limits.unmatchedHours).`,
  });
  return {
    kind: 'wait' as const,
    record: { ...record, unmatched },
    // Not all at the same moment.
    forMs: Math.round(forMs * (0.75 + random() / 4)),
  };
}

export function unknownAuthority(reference: string, context: VisitContext): ProvisioningError {
  const message = `authorities has no "${reference}", which the CA connection in the Admin console names.`;
  return unknown('authority-unknown', message, reference, context.authorities.keys());
}

export function unknownProfile(reference: string, context: VisitContext): ProvisioningError {
  const message = `profiles has no "${reference}", which the profile in the Admin console names.`;
  return unknown('profile-unknown', message, reference, context.profiles.keys());
}

function unknown(
  code: 'authority-unknown' | 'profile-unknown',
  message: string,
  reference: string,
  known: Iterable<string>,
): ProvisioningError {
  const nearest = nearestName(reference, known);
  const hint = nearest === undefined ? '' : ` Did you mean "${nearest}"?`;
  return new ProvisioningError(code, `${message}${hint}`);
}
