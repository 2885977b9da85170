import { hash } from 'node:crypto';
import type { Clock, Random } from '../clock.ts';
import { type ErrorCode, mayHaveIssued, ProvisioningError } from '../errors.ts';
import { oneLine } from '../google/one-line.ts';
import type { AuthorityStanding, Hold } from '../journal/authority-standing.ts';
import { scrub } from '../telemetry/scrub.ts';
import type { PrepareRequest } from './certificate-authority.ts';
import {
  accepted,
  holdsOf,
  isDue,
  mayScout,
  proven,
  rejected,
  scoutSent,
  tryTaken,
  unanswered,
} from './standing.ts';
import type { StandingBook } from './standing-book.ts';

/*
 * Stands between an authority's answers and what follows from them: it decides, by the authority's standing, whether a
 * rejection is believed and whether an order may be sent at all.
 */

export interface RefusalGuardOptions {
  readonly reference: string;
  readonly book: StandingBook;
  /** So many devices in a row that are rejected are not believed. */
  readonly rejectedDevices: number;
  readonly clock: Clock;
  readonly random: Random;
}

/** A call that is guarded, and what for. */
export interface GuardedOrder {
  readonly call: 'prepare' | 'issue' | 'collect';
  readonly request: PrepareRequest;
  /** The profile's name and a hash of what it says. */
  readonly profile: string;
}

type GuardedCall = Hold['call'];

/** Their words are for one line of a log, in characters. */
const longestWords = 300;
/** While it is held a process comes back after this long, spread so that the end of it is no storm. */
const heldPauseMs = { least: 20_000, most: 80_000 };
/** The same for those that wait for the first device's certificate. */
const scoutPauseMs = { least: 2_000, most: 6_000 };
/** No process waits longer: the configuration may have been changed meanwhile. */
const longestPauseMs = 5 * 60_000;

/** Whoever gets it only has to look again after its pause, however often it was so before. */
export class HeldError extends ProvisioningError {
  override readonly name: string = 'HeldError';

  constructor(code: ErrorCode, message: string, retryAfterMs: number) {
    super(code, message, { retryAfterMs, unanswered: false });
  }
}

/** A rejection that is not believed: the order is placed again, as another one. */
export class DoubtedRejectionError extends HeldError {
  override readonly name = 'DoubtedRejectionError';
}

export class RefusalGuard {
  readonly #options: RefusalGuardOptions;

  constructor(options: RefusalGuardOptions) {
    this.#options = options;
  }

  /** Why the authority is not ready, as far as it is known here: undefined while its answers are believed. */
  get problem(): ProvisioningError | undefined {
    const standing = this.#options.book.seen;
    if (standing === undefined) return undefined;
    if (standing.hold !== undefined) return this.#unanswered(standing.hold);
    for (const [profile, { hold }] of Object.entries(standing.profiles)) {
      if (hold !== undefined) return this.#rejecting(profile, hold);
    }
    return undefined;
  }

  /** Looks what other instances found out. */
  async look(): Promise<void> {
    await this.#options.book.look();
  }

  /** Throws when it is known here that the call is not to be made now. */
  checkHeld({ call, profile }: GuardedOrder): void {
    if (call === 'collect') return;
    const standing = this.#options.book.seen;
    if (standing !== undefined) this.#throwIfHeld(standing, call, profile);
  }

  /** The same as {@link checkHeld}, after a look, and takes the try that is due. Right before the call. */
  async enter({ call, profile }: GuardedOrder): Promise<void> {
    if (call === 'collect') return;
    if (call === 'prepare') await this.#scout(profile);
    const { book, clock } = this.#options;
    const seen = book.seen ?? (await book.look());
    if (holdsOf(seen, profile, call).length === 0) return;
    this.#throwIfHeld(seen, call, profile);
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
    const hold = book.seen?.profiles[profile]?.hold;
    if (hold !== undefined) return this.#heldBy(this.#rejecting(profile, hold), hold);
    const { least, most } = scoutPauseMs;
    return new HeldError(
      'ca-throttled',
      `The authority ${reference} has not issued for the profile ${nameOfProfile(profile)} since its configuration changed: until it has, one device after the other is asked to sign.`,
      least + random() * (most - least),
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
      if (order.call === 'issue') await this.#failed(error, isDown(error));
      throw error;
    }
    const words = rejectionOf(answer);
    if (words !== undefined) await this.#judge(order, words);
    return answer;
  }

  async #judge(order: GuardedOrder, words: string): Promise<void> {
    const { request, profile } = order;
    // A rejection of what was pending is one of the order.
    const call = order.call === 'prepare' ? 'prepare' : 'issue';
    const { book, clock, rejectedDevices } = this.#options;
    const standing = await book.change((newest) =>
      rejected(newest, {
        profile,
        call,
        device: deviceOf(request),
        words: fitForALine(words),
        at: clock.now(),
        mostInARow: rejectedDevices,
      }),
    );
    const hold = standing.profiles[profile]?.hold;
    if (hold?.call !== call) return;
    const { message, retryAfterMs = 0 } = this.#heldBy(this.#rejecting(profile, hold), hold);
    throw new DoubtedRejectionError('ca-rejecting', message, retryAfterMs);
  }

  async #failed(error: ProvisioningError, isDown: boolean): Promise<void> {
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

  #throwIfHeld(standing: AuthorityStanding, call: GuardedCall, profile: string): void {
    const holds = holdsOf(standing, profile, call);
    const now = this.#options.clock.now();
    if (!holds.every((each) => isDue(each, now))) throw this.#held(standing, call, profile);
  }

  #held(standing: AuthorityStanding, call: GuardedCall, profile: string): ProvisioningError {
    const { hold } = standing;
    if (hold?.call === call) return this.#heldBy(this.#unanswered(hold), hold);
    const own = standing.profiles[profile]?.hold;
    if (own === undefined) throw new Error('Nothing is held.');
    return this.#heldBy(this.#rejecting(profile, own), own);
  }

  #heldBy({ code, message }: ProvisioningError, { nextTryAt }: Hold): HeldError {
    const { clock, random } = this.#options;
    const { least, most } = heldPauseMs;
    const untilTryMs = Math.min(longestPauseMs - most, Math.max(0, nextTryAt - clock.now()));
    const restMs = least + random() * (most - least);
    const retryAfterMs = code === 'ca-rejecting' ? restMs : untilTryMs + restMs;
    return new HeldError(code, message, retryAfterMs);
  }

  #rejecting(profile: string, { words }: Hold): ProvisioningError {
    const name = nameOfProfile(profile);
    return problemOf(
      'ca-rejecting',
      `every order is rejected: ${words} (authority ${this.#options.reference}, profile ${name}; nothing is refused until limits.issuingHours, one a minute is tried)`,
    );
  }

  #unanswered({ words }: Hold): ProvisioningError {
    return problemOf(
      'ca-bad-answer',
      `its answers to orders are not understood: ${words} (authority ${this.#options.reference}; each order may make a certificate that nobody knows, so one is tried now and then)`,
    );
  }
}

/** Of the codes those that end a process. A device that came too late is its own affair. */
function isRejection({ disposition, code }: ProvisioningError): boolean {
  return disposition === 'refuse' && code !== 'preparation-expired';
}

/** The words of an answer that says no for good. */
function rejectionOf(answer: unknown): string | undefined {
  const isRejected =
    typeof answer === 'object' && answer !== null && 'kind' in answer && answer.kind === 'rejected';
  return isRejected && 'reason' in answer ? String(answer.reason) : undefined;
}

function problemOf(code: ErrorCode, message: string): ProvisioningError {
  return new ProvisioningError(code, message);
}

function fitForALine(words: string): string {
  return oneLine(scrub(words), longestWords);
}

/** Who asks, as a hash: a device that asks again and again is one device. */
function deviceOf({ subject, subjectPublicKeyInfo }: PrepareRequest): string {
  const { deviceDirectoryApiId, serialNumber } = subject;
  const user = subject.kind === 'user' ? subject : undefined;
  const name =
    user?.userDirectoryApiId ?? user?.userPrimaryEmail ?? deviceDirectoryApiId ?? serialNumber;
  return hash('sha256', name ?? Buffer.from(subjectPublicKeyInfo), 'hex').slice(0, 16);
}

/** Without the hash that tells its versions apart. */
function nameOfProfile(profile: string): string {
  return profile.replace(/#[^#]*$/, '');
}
