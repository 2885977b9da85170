import { ageOf } from '../age.ts';
import { ProvisioningError } from '../errors.ts';
import type { ProcessRecord, UnmatchedFacts } from '../journal/process-record.ts';
import type { House, Step } from '../visit.ts';
import { nearestName } from '../x509/nearest-name.ts';
import type { ProvisioningProcess } from './process.ts';

/*
 * A reference in no table is most often a typing error, here or in the Admin console, and a refusal would cost each of its devices a
 * day. So the process is held, unclaimed: another adapter may still serve it. It is looked at again at each start, which
 * costs no call, and about every hour, with a look at Google's record; after limits.unmatchedHours it is refused.
 */

const lookEveryMs = 60 * 60_000;
/** Google's record that was seen this lately is not asked for again. */
const freshMs = lookEveryMs * 0.7;

/** Why no authority or no profile has the reference that a process names; undefined for another error. */
export function isUnmatched(error: ProvisioningError): boolean {
  return error.code === 'authority-unknown' || error.code === 'profile-unknown';
}

/** Holds the process. Undefined when it has been held for long enough. */
export function holdUnmatched(
  record: ProcessRecord,
  { authority = '', profile }: ProvisioningProcess,
  house: House,
): Extract<Step, { kind: 'wait' }> | undefined {
  const now = house.clock.now();
  const age = ageOf(record, now);
  const sinceAge = record.unmatched?.sinceAge ?? age;
  if (age - sinceAge >= house.unmatchedDeadlineMs) return undefined;
  const named = profile?.kind === 'generic' ? { profile: profile.reference } : {};
  return wait(record, { authority, ...named, sinceAge, lookedAt: now }, house, lookEveryMs);
}

/** A look that costs no call, after a start: undefined when there is something to do. */
export function stillUnmatched(record: ProcessRecord, house: House): Step | undefined {
  const { unmatched } = record;
  if (unmatched === undefined || house.unmatched !== 'hold') return undefined;
  const leftMs = unmatched.lookedAt + freshMs - house.clock.now();
  const isKnown =
    house.authorities.has(unmatched.authority) &&
    (unmatched.profile === undefined || house.profiles.has(unmatched.profile));
  return isKnown || leftMs <= 0 || leftMs > lookEveryMs
    ? undefined
    : wait(record, unmatched, house, leftMs + lookEveryMs - freshMs);
}

function wait(record: ProcessRecord, unmatched: UnmatchedFacts, house: House, forMs: number) {
  const { events, random } = house;
  const isAuthority = !house.authorities.has(unmatched.authority);
  const reference = (isAuthority ? unmatched.authority : unmatched.profile) ?? '';
  const { message } = isAuthority
    ? unknownAuthority(reference, house)
    : unknownProfile(reference, house);
  const hours = house.unmatchedDeadlineMs / 3_600_000;
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

export function unknownAuthority(reference: string, house: House): ProvisioningError {
  const message = `authorities has no "${reference}", which the CA connection in the Admin console names.`;
  return unknown('authority-unknown', message, reference, house.authorities.keys());
}

export function unknownProfile(reference: string, house: House): ProvisioningError {
  const message = `profiles has no "${reference}", which the profile in the Admin console names.`;
  return unknown('profile-unknown', message, reference, house.profiles.keys());
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
