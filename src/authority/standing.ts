import type { AuthorityStanding, Hold, ProfileStanding } from '../journal/authority-standing.ts';

/*
 * Whether an authority's answers may be believed. Pure rules over what the journal keeps; each gives the very same
 * object back when nothing changes, so that a good day writes nothing.
 *
 * A rejection ends a person's day, so it is believed from an authority that has shown, since its configuration last
 * changed, that it issues for this profile. Until then, and when several devices in a row are rejected, the fault is
 * more likely an administrator's than theirs: the profile is held, and one order a minute is tried. A certificate that fails
 * its check is judged like a rejection, but each order makes one more to revoke: one is tried, more and more rarely. Likewise
 * an answer that cannot be read may be a certificate that nobody knows, from the second in a row.
 */

/** While every order is rejected one is tried this often, over all instances together. */
const tryRejectedEveryMs = 60_000;

/** While every certificate fails its check: each try makes one more. The pause doubles. */
const tryFailingAfterMs = { least: 60_000, most: 60 * 60_000 };
/**
 * A process with such a certificate keeps it for a corrected configuration, unless nobody else has tried for this
 * long.
 */
const nobodyTriedMs = 10 * 60_000;

/** An order whose answer is not understood may make a certificate each time: the pause doubles from one to the other. */
const tryUnansweredAfterMs = { least: 5 * 60_000, most: 6 * 60 * 60_000 };

/** How soon another device is asked to sign while the first have not got their certificates. */
const scoutEveryMs = 10_000;
/** The same while every order is rejected: the pause doubles, for the first may just have been a bad one. */
const scoutHeldAfterMs = { least: 60_000, most: 2 * 60 * 60_000 };

/** Answers in a row that cannot be read before no more is ordered. */
const mostUnread = 2;
/** An outage looks like this once, or twice where it flaps; one that only orders bring about goes on. */
const mostSilent = 3;

/** A profile that is changed gets a new name: the oldest go. */
const mostProfiles = 1_000;

const unknownProfile: ProfileStanding = { proven: false, rejected: [] };

export function freshStanding(mark: string): AuthorityStanding {
  return { mark, profiles: {}, unread: 0, silent: 0, unanswered: 0 };
}

/** It issued a certificate for the profile that passed its check. */
export function proven(standing: AuthorityStanding, profile: string): AuthorityStanding {
  const before = standing.profiles[profile];
  const after = understood(standing);
  const isClean = before?.rejected.length === 0 && before.scouts === undefined;
  if (isClean && before.proven && before.hold === undefined) return after;
  return withProfile(after, profile, { proven: true, rejected: [] });
}

/**
 * It took a request of the profile without rejecting it. That says nothing about the resulting certificate, nor about
 * what it decides later if it accepted the rejected ones, too.
 */
export function accepted(
  standing: AuthorityStanding,
  profile: string,
  call: Hold['call'],
): AuthorityStanding {
  const after = call === 'issue' ? understood(standing) : standing;
  const before = after.profiles[profile];
  if (before?.hold?.call !== call) return after;
  if (before.hold.fault !== undefined || before.hold.isLate === true) return after;
  const { hold: _lifted, ...rest } = before;
  return withProfile(after, profile, rest);
}

/** It answered an order in a way that was understood. */
function understood(standing: AuthorityStanding): AuthorityStanding {
  const { hold, unread, silent, ...rest } = standing;
  if (hold === undefined && unread === 0 && silent === 0) return standing;
  return { ...rest, unread: 0, silent: 0 };
}

export interface Rejection {
  readonly profile: string;
  readonly call: Hold['call'];
  /** It issued a certificate, which failed its check with this code. */
  readonly fault?: string;
  /** It had accepted the order, and rejected it when it was asked about it. */
  readonly isLate: boolean;
  /** A hash of who asked. */
  readonly device: string;
  readonly words: string;
  readonly at: number;
  /** This many rejected devices in a row are not believed. */
  readonly mostInARow: number;
}

/** It rejected a request, or issued what failed its check. Held afterwards: that is not to be believed. */
export function rejected(standing: AuthorityStanding, rejection: Rejection): AuthorityStanding {
  const { profile, call, fault, isLate, device, words, at, mostInARow } = rejection;
  const after = call === 'issue' ? understood(standing) : standing;
  const before = after.profiles[profile] ?? unknownProfile;
  const { hold } = before;
  const isLateNow = isLate || hold?.isLate === true;
  const isKnown = hold?.call === call && hold.fault === fault && hold.words === words;
  if (isKnown && (hold.isLate === true) === isLateNow) return after;
  const row = [...new Set([...before.rejected, device])].slice(0, mostInARow);
  const isBelieved = hold === undefined && before.proven && row.length < mostInARow;
  if (isBelieved) {
    if (row.length === before.rejected.length) return after;
    return withProfile(after, profile, { ...before, rejected: row });
  }
  const held: Hold = {
    call,
    ...(fault === undefined ? {} : { fault }),
    ...(isLateNow ? { isLate: true } : {}),
    words,
    since: hold?.since ?? at,
    nextTryAt: hold?.nextTryAt ?? at + tryRejectedEveryMs,
    tries: hold?.tries ?? 0,
  };
  // A device that is asked to sign from now on is likely to sign in vain.
  const nextAt = at + scoutHeldAfterMs.least;
  const scouts = hold === undefined ? { asked: 1, nextAt } : before.scouts;
  return withProfile(after, profile, {
    ...before,
    rejected: row,
    hold: held,
    ...(scouts === undefined ? {} : { scouts }),
  });
}

/**
 * An order left, and its answer was not understood: it came and could not be read (`unread`), none came and that was
 * the one too many with which the authority counts as down (`silent`), or none came.
 */
export function unanswered(
  standing: AuthorityStanding,
  how: 'unread' | 'silent' | 'once',
  words: string,
  at: number,
): AuthorityStanding {
  const after = {
    ...standing,
    unanswered: standing.unanswered + 1,
    unread: standing.unread + (how === 'unread' ? 1 : 0),
    silent: standing.silent + (how === 'silent' ? 1 : 0),
  };
  if (after.hold !== undefined) return { ...after, hold: { ...after.hold, words } };
  if (after.unread < mostUnread && after.silent < mostSilent) return after;
  const nextTryAt = at + tryUnansweredAfterMs.least;
  return { ...after, hold: { call: 'issue', words, since: at, nextTryAt, tries: 0 } };
}

/** What holds a call for the profile back, the authority's own first. */
export function holdsOf(
  { hold, profiles }: AuthorityStanding,
  profile: string,
  call: Hold['call'],
): readonly Hold[] {
  const both = [hold, profiles[profile]?.hold];
  return both.filter((each) => each !== undefined).filter((each) => each.call === call);
}

/** Takes the next try of a call for itself; the same standing when it is not yet time, or nothing is held. */
export function tryTaken(
  standing: AuthorityStanding,
  profile: string,
  call: Hold['call'],
  now: number,
): AuthorityStanding {
  const holds = holdsOf(standing, profile, call);
  if (holds.length === 0 || !holds.every((each) => isDue(each, now))) return standing;
  const { hold } = standing;
  const { least, most } = tryUnansweredAfterMs;
  const next =
    hold === undefined
      ? standing
      : {
          ...standing,
          hold: tried(hold, now + doubled(least, most, hold.tries + 1)),
        };
  const before = next.profiles[profile];
  if (before?.hold?.call !== call) return next;
  return withProfile(next, profile, {
    ...before,
    hold: tried(before.hold, now + pauseOf(before.hold)),
  });
}

function pauseOf({ fault, tries }: Hold): number {
  const { least, most } = tryFailingAfterMs;
  return fault === undefined ? tryRejectedEveryMs : doubled(least, most, tries + 1);
}

function doubled(least: number, most: number, times: number): number {
  return Math.min(most, least * 2 ** Math.min(30, times));
}

/** A process that finds that nobody has tried gives up its own failing certificate, and tries next. */
export function tryMissed(
  standing: AuthorityStanding,
  profile: string,
  now: number,
): AuthorityStanding {
  const before = standing.profiles[profile];
  if (before?.hold?.fault === undefined || now < before.hold.nextTryAt + nobodyTriedMs)
    return standing;
  return withProfile(standing, profile, { ...before, hold: { ...before.hold, nextTryAt: now } });
}

/** Whether it may be tried again. A time that lies further ahead than any pause was written by a clock that was wrong. */
export function isDue({ nextTryAt }: Hold, now: number): boolean {
  return now >= nextTryAt || nextTryAt - now > tryUnansweredAfterMs.most;
}

/**
 * Whether another device may be asked to sign what the authority wanted inside the request. A device signs once, so a wrong
 * challenge, or one that runs out while orders wait, spoils the process of each that has: until it is proven one after the
 * other is asked, and hardly any while orders are held.
 */
export function mayScout(standing: AuthorityStanding, profile: string, now: number): boolean {
  const known = standing.profiles[profile];
  if (isOpen(standing, known)) return true;
  const { nextAt = 0 } = known?.scouts ?? {};
  return now >= nextAt || nextAt - now > scoutHeldAfterMs.most;
}

function isOpen({ hold }: AuthorityStanding, known: ProfileStanding | undefined): boolean {
  return hold === undefined && known?.proven === true && known.hold === undefined;
}

/** Notes that a device is asked; the same standing where any may be asked, or none now. */
export function scoutSent(
  standing: AuthorityStanding,
  profile: string,
  now: number,
): AuthorityStanding {
  const before = standing.profiles[profile] ?? unknownProfile;
  if (isOpen(standing, before) || !mayScout(standing, profile, now)) return standing;
  const { asked = 0 } = before.scouts ?? {};
  const { least, most } = scoutHeldAfterMs;
  const pauseMs =
    (before.hold ?? standing.hold) === undefined ? scoutEveryMs : doubled(least, most, asked);
  return withProfile(standing, profile, {
    ...before,
    scouts: { asked: asked + 1, nextAt: now + pauseMs },
  });
}

function tried(hold: Hold, nextTryAt: number): Hold {
  return { ...hold, nextTryAt, tries: hold.tries + 1 };
}

function withProfile(
  standing: AuthorityStanding,
  profile: string,
  change: ProfileStanding,
): AuthorityStanding {
  const { [profile]: _before, ...others } = standing.profiles;
  const kept = Object.entries(others).slice(1 - mostProfiles);
  return { ...standing, profiles: Object.fromEntries([...kept, [profile, change]]) };
}
