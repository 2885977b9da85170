import { mayHaveIssued, ProvisioningError } from '../errors.ts';
import type { AuthorityStanding, Hold } from '../journal/authority-standing.ts';
import type { Clock, Random } from '../time/clock.ts';
import {
  deviceOf,
  type FailedCheck,
  fitForALine,
  type GuardedOrder,
  isRejection,
  rejectionOf,
} from './guarded-order.ts';
import {
  DoubtedRejectionError,
  HeldError,
  nameOfProfile,
  problemOfAuthority,
  problemOfProfile,
} from './held.ts';
import { Newcomers } from './newcomers.ts';
import {
  accepted,
  holdsOf,
  isDue,
  mayScout,
  proven,
  rejected,
  scoutSent,
  tryMissed,
  tryTaken,
  unanswered,
} from './standing.ts';
import type { StandingBook } from './standing-book.ts';

/*
 * Stands between an authority's answers and what follows from them: it decides, by the authority's standing, whether a
 * rejection or a failed check is believed, and whether an order may be sent at all.
 */

export interface RefusalGuardOptions {
  readonly reference: string;
  readonly book: StandingBook;
  /** When this many devices in a row are rejected, that is not believed. */
  readonly rejectedDevices: number;
  readonly clock: Clock;
  readonly random: Random;
}

/** While it is held a process comes back after this long, spread out so that the end of the hold is not a storm. */
const heldPauseMs = { least: 20_000, most: 80_000 };
/** The same for those that wait for the first device's certificate. */
const scoutPauseMs = { least: 2_000, most: 6_000 };
/**
 * The pause grows this many times with the devices that were asked in vain: thousands that wait are not looked at
 * every few seconds.
 */
const mostScoutPauses = 10;
/** No process waits longer: the configuration may have been changed meanwhile. */
const longestPauseMs = 5 * 60_000;

export class RefusalGuard {
  readonly #options: RefusalGuardOptions;
  readonly #newcomers = new Newcomers(heldPauseMs.most);

  constructor(options: RefusalGuardOptions) {
    this.#options = options;
  }

  /** Why the authority is not ready, as far as it is known here: undefined while its answers are believed. */
  get problem(): ProvisioningError | undefined {
    const standing = this.#options.book.seen;
    if (standing === undefined) return undefined;
    if (standing.hold !== undefined)
      return problemOfAuthority(this.#options.reference, standing.hold);
    for (const [profile, { hold }] of Object.entries(standing.profiles)) {
      if (hold !== undefined) return problemOfProfile(this.#options.reference, profile, hold);
    }
    return undefined;
  }

  /** Sees what other instances found out. */
  async look(): Promise<void> {
    await this.#options.book.look();
  }

  /** Throws when it is known here that the call is not to be made now. */
  checkHeld(order: GuardedOrder): void {
    const standing = this.#options.book.seen;
    if (standing !== undefined) this.#throwIfHeld(standing, order);
  }

  /** The same as {@link checkHeld}, after a look, and takes the try that is due. Right before the call. */
  async enter(order: GuardedOrder): Promise<void> {
    const { call, profile } = order;
    if (call === 'collect') return;
    if (call === 'prepare') await this.#scout(profile);
    const { book, clock } = this.#options;
    const seen = book.seen ?? (await book.look());
    if (holdsOf(seen, profile, call).length === 0) return;
    this.#throwIfHeld(seen, order);
    const take = (newest: AuthorityStanding) => tryTaken(newest, profile, call, clock.now());
    const { standing, isTaken } = await this.#take(take);
    if (!isTaken && holdsOf(standing, profile, call).length > 0) {
      throw this.#held(standing, call, profile);
    }
  }

  /** Before a device is asked to sign what the authority wants inside the request. */
  async #scout(profile: string): Promise<void> {
    const { book, clock } = this.#options;
    const seen = book.seen ?? (await book.look());
    const now = clock.now();
    const isFree = mayScout(seen, profile, now) && scoutSent(seen, profile, now) === seen;
    if (isFree) return;
    if (mayScout(seen, profile, now)) {
      const take = (newest: AuthorityStanding) => scoutSent(newest, profile, clock.now());
      const { standing, isTaken } = await this.#take(take);
      if (isTaken || mayScout(standing, profile, clock.now())) return;
    }
    throw this.#awaitingScout(profile);
  }

  #awaitingScout(profile: string): HeldError {
    const { book, random, reference } = this.#options;
    const { hold: whole, profiles = {} } = book.seen ?? {};
    const { hold, scouts } = profiles[profile] ?? {};
    if (hold !== undefined) return this.#heldBy(problemOfProfile(reference, profile, hold), hold);
    if (whole !== undefined) return this.#heldBy(problemOfAuthority(reference, whole), whole);
    const { least, most } = scoutPauseMs;
    const pauses = Math.min(mostScoutPauses, Math.max(1, scouts?.asked ?? 0));
    return new HeldError(
      'ca-throttled',
      `The authority ${reference} has not issued for the profile ${nameOfProfile(profile)} since its configuration changed: until it has, one device after the other is asked to sign.`,
      pauses * (least + random() * (most - least)),
    );
  }

  /** Applies a rule that takes something which only one can have. */
  async #take(rule: (newest: AuthorityStanding) => AuthorityStanding) {
    let isTaken = false;
    const standing = await this.#options.book.change((newest) => {
      const next = rule(newest);
      isTaken = next !== newest;
      return next;
    });
    return { standing, isTaken };
  }

  /** It took what it was asked, without rejecting it. Never rejects and needs no waiting for. */
  async accepted({ call, profile }: GuardedOrder): Promise<void> {
    if (call === 'collect') return;
    await this.#note((standing) => accepted(standing, profile, call));
  }

  /** It issued a certificate that passed its check. Never rejects and needs no waiting for. */
  async proven(profile: string): Promise<void> {
    await this.#note((standing) => proven(standing, profile));
  }

  /** Whether it has issued for the profile what passed its check, since its configuration changed. */
  isProven(profile: string): boolean {
    return this.#options.book.seen?.profiles[profile]?.proven === true;
  }

  /**
   * Makes a call, and throws `ca-rejecting` in place of a rejection that is not to be believed. `isDown` says of an error
   * whether the authority counts as down with it.
   */
  async judging<Result>(
    order: GuardedOrder,
    work: () => Promise<Result>,
    isDown: (error: ProvisioningError) => boolean,
  ): Promise<Result> {
    let answer: Result;
    try {
      answer = await work();
    } catch (error) {
      if (!(error instanceof ProvisioningError)) throw error;
      if (isRejection(error)) await this.#judge(order, error.message);
      if (order.call === 'issue') await this.#unheard(error, isDown(error));
      throw error;
    }
    const words = rejectionOf(answer);
    if (words !== undefined) await this.#judge(order, words);
    return answer;
  }

  async #judge(order: GuardedOrder, words: string): Promise<void> {
    const hold = await this.#rejected(order, words);
    if (hold === undefined) return;
    const { profile } = order;
    const {
      code,
      message,
      retryAfterMs = 0,
    } = this.#heldBy(problemOfProfile(this.#options.reference, profile, hold), hold);
    throw new DoubtedRejectionError(code, message, retryAfterMs);
  }

  /**
   * Judges a certificate that failed its check, when it comes and whenever it is looked at again. The answer says that the
   * fault is not believed to be the device's, or this certificate's alone, and until when to keep it; undefined: it is believed.
   */
  async failed(
    { profile, request, isNew }: FailedCheck,
    { code, message }: ProvisioningError,
  ): Promise<HeldError | undefined> {
    const known = this.#options.book.seen?.profiles[profile];
    const order = { call: 'issue', profile, request } as const;
    // Looked at again it is believed or held as the last new one was.
    const isJudged = !isNew && (known?.proven === true || known?.hold?.fault !== undefined);
    const hold = isJudged ? known?.hold : await this.#rejected(order, message, code);
    return hold?.fault === undefined
      ? undefined
      : this.#heldBy(problemOfProfile(this.#options.reference, profile, hold), hold);
  }

  /** Whether one that holds a failing certificate is to give it up and order anew, since nobody else tries. */
  async missesTries(profile: string): Promise<boolean> {
    const { book, clock } = this.#options;
    const { seen } = book;
    const take = (newest: AuthorityStanding) => tryMissed(newest, profile, clock.now());
    if (seen === undefined || take(seen) === seen) return false;
    return (await this.#take(take)).isTaken;
  }

  /** What holds back, afterwards, what was rejected, or failed its check with the code `fault`. */
  async #rejected(
    { call: made, request, profile }: GuardedOrder,
    words: string,
    fault?: string,
  ): Promise<Hold | undefined> {
    // A rejection of what was pending is one of the order.
    const call = made === 'prepare' ? 'prepare' : 'issue';
    const { book, clock, rejectedDevices } = this.#options;
    const standing = await book.change((newest) =>
      rejected(newest, {
        profile,
        call,
        ...(fault === undefined ? {} : { fault }),
        isLate: made === 'collect',
        device: deviceOf(request),
        words: fitForALine(words),
        at: clock.now(),
        mostInARow: rejectedDevices,
      }),
    );
    const hold = standing.profiles[profile]?.hold;
    return hold?.call === call ? hold : undefined;
  }

  async #unheard(error: ProvisioningError, isDown: boolean): Promise<void> {
    if (!mayHaveIssued(error)) return;
    const how = error.code === 'ca-bad-answer' ? 'unread' : isDown ? 'silent' : 'once';
    const { book, clock } = this.#options;
    const words = fitForALine(error.message);
    await book.change((newest) => unanswered(newest, how, words, clock.now()));
  }

  async #note(rule: (standing: AuthorityStanding) => AuthorityStanding): Promise<void> {
    const { book } = this.#options;
    const { seen } = book;
    if (seen === undefined || rule(seen) !== seen) await book.change(rule);
  }

  #throwIfHeld(standing: AuthorityStanding, { call, profile, isAgain }: GuardedOrder): void {
    if (call === 'collect') return;
    const holds = holdsOf(standing, profile, call);
    if (holds.length === 0) return;
    const now = this.#options.clock.now();
    const yields = isAgain === true && this.#newcomers.areAwaited(profile, now);
    if (!yields && holds.every((each) => isDue(each, now))) return;
    if (isAgain !== true) this.#newcomers.turnedAway(profile, now);
    throw this.#held(standing, call, profile);
  }

  #held(standing: AuthorityStanding, call: Hold['call'], profile: string): ProvisioningError {
    const { hold } = standing;
    if (hold?.call === call)
      return this.#heldBy(problemOfAuthority(this.#options.reference, hold), hold);
    const own = standing.profiles[profile]?.hold;
    if (own === undefined) throw new Error('Nothing is held.');
    return this.#heldBy(problemOfProfile(this.#options.reference, profile, own), own);
  }

  #heldBy({ code, message }: ProvisioningError, { nextTryAt }: Hold): HeldError {
    const { clock, random } = this.#options;
    const { least, most } = heldPauseMs;
    const untilTryMs = Math.min(longestPauseMs - most, Math.max(0, nextTryAt - clock.now()));
    const restMs = least + random() * (most - least);
    const retryAfterMs = code === 'ca-rejecting' ? restMs : untilTryMs + restMs;
    return new HeldError(code, message, retryAfterMs);
  }
}
