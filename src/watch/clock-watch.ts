import type { Events } from '../events/events.ts';
import type { Clock } from '../time/clock.ts';
import type { ClockTrust } from './clock-trust.ts';

/*
 * Is this machine's clock right? Two witnesses know the time independently of it: Google, by the Date of its answers,
 * and a database that several instances share. A third, the monotonic clock, knows no time of day, but shows when the
 * clock is set. While the clock is in doubt the service takes nothing up, and its own time continues as before.
 */

/** Whose time it is compared with. If both have spoken, Google's counts. */
export type Witness = 'google' | 'journal';

/**
 * Takes the time that a witness gave, in milliseconds since the epoch, and its resolution. Hearsay is the time of
 * somebody on the way to the witness: it may confirm a clock that it agrees with, but accuses none.
 */
export type Testimony = (at: number, resolutionMs: number, isHearsay?: boolean) => void;

export interface ClockWatchOptions {
  /** The machine's own. */
  readonly clock: Clock;
  /** Milliseconds since whenever, by a clock that is never set. */
  readonly monotonic: () => number;
  readonly events: Events;
}

/** Asks a witness; resolves when it has testified, or cannot, and rejects when it was not reached. */
export type Question = (testify: Testimony, signal: AbortSignal) => Promise<void>;

/**
 * A clock that is off by less does no harm: certificates are dated back by more, and Google's tokens allow minutes. A
 * time server keeps a clock within milliseconds, so only one that is really wrong exceeds this. A Date's whole
 * seconds and the time that an answer took are allowed for first.
 */
const toleranceMs = 5_000;

/** How often witnesses are asked while the clock is in doubt, and the database while it is not. */
const askAgainMs = 2_000;
const askDatabaseMs = 10_000;
const answerWithinMs = 5_000;
const lookEveryMs = 1_000;

interface Reading {
  readonly wall: number;
  readonly monotonic: number;
}

export class ClockWatch implements Clock, ClockTrust {
  readonly #options: ClockWatchOptions;
  /** When the machine's clock was last looked at. */
  #last: Reading;
  /** What this clock's time is counted from while the machine's is in doubt. */
  #base: Reading;
  /** A witness has confirmed the base, or there is none. */
  #confirmed = false;
  /** By how much the clock is surely ahead of (below zero: behind) each witness that has spoken since it was set. */
  readonly #offBy = new Map<Witness, number>();
  #unreached: string | undefined;
  /** Google's certificate is not valid at the machine's time. */
  #datesAreOff = false;
  /** Google answers, but never says what time it is. */
  #isUndated = false;
  #epoch = 0;
  /** The database's time less the monotonic clock's. */
  #databaseBase: number | undefined;
  #problem: string | undefined = 'nobody has confirmed it yet';
  #told: string | undefined = '';
  #trusting: (() => void)[] = [];

  constructor(options: ClockWatchOptions) {
    this.#options = options;
    this.#last = this.#read();
    this.#base = this.#last;
  }

  /** The machine's time; while that is in doubt, the time that continued from before. */
  now(): number {
    this.#look();
    if (this.#problem === undefined) return this.#last.wall;
    return Math.round(this.#base.wall + this.#last.monotonic - this.#base.monotonic);
  }

  sleep(forMs: number, signal?: AbortSignal): Promise<void> {
    return this.#options.clock.sleep(forMs, signal);
  }

  get problem(): string | undefined {
    this.#look();
    return this.#problem;
  }

  get epoch(): number {
    this.#look();
    return this.#epoch;
  }

  untilTrusted(signal: AbortSignal): Promise<void> {
    if (this.problem === undefined) return Promise.resolve();
    if (signal.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const settle = (then: () => void) => () => {
        signal.removeEventListener('abort', abort);
        then();
      };
      const trust = settle(resolve);
      const abort = settle(() => {
        this.#trusting = this.#trusting.filter((waiting) => waiting !== trust);
        reject(signal.reason);
      });
      signal.addEventListener('abort', abort, { once: true });
      this.#trusting.push(trust);
    });
  }

  /**
   * Call this before a witness is asked. Its answer to a question from before the clock was set counts for nothing.
   */
  asking(witness: Witness): Testimony {
    this.#look();
    const asked = this.#last.monotonic;
    const epoch = this.#epoch;
    return (at, resolutionMs, isHearsay = false) => {
      this.#look();
      if (this.#epoch !== epoch) return;
      const { wall, monotonic } = this.#last;
      if (witness === 'journal') this.#compareDatabase(at - monotonic);
      // Its time now is between these two.
      const earliest = at;
      const latest = at + resolutionMs + (monotonic - asked);
      const offBy = wall > latest ? wall - latest : Math.min(0, wall - earliest);
      if (isHearsay && Math.abs(offBy) > toleranceMs) return;
      this.#offBy.set(witness, offBy);
      this.#judge();
    };
  }

  /** Somebody says that the clock is wrong, which is more than nobody saying that it is right. */
  get isContradicted(): boolean {
    return this.problem !== undefined && (this.#offBy.size > 0 || this.#datesAreOff);
  }

  /** Looks at the clock and asks witnesses until the signal is aborted. Never rejects. */
  async run(questions: Readonly<Record<Witness, Question>>, signal: AbortSignal): Promise<void> {
    let databaseDueAt = Number.NEGATIVE_INFINITY;
    let askedAt = Number.NEGATIVE_INFINITY;
    while (!signal.aborted) {
      const doubts = this.problem !== undefined;
      const { monotonic } = this.#last;
      if (doubts && monotonic - askedAt >= askAgainMs) {
        askedAt = monotonic;
        databaseDueAt = monotonic + askDatabaseMs;
        // A database on this very machine has the same clock: it confirms nothing before Google has had time to
        // contradict.
        await this.#ask('google', questions.google, signal);
        await this.#ask('journal', questions.journal, signal);
        if (this.#isUndated && this.#offBy.size === 0) this.#takeAsItIs();
        this.#judge();
      } else if (monotonic >= databaseDueAt) {
        databaseDueAt = monotonic + askDatabaseMs;
        await this.#ask('journal', questions.journal, signal);
      }
      // An abort ends the wait, and with it the loop.
      await this.sleep(lookEveryMs, signal).catch(() => undefined);
    }
  }

  async #ask(witness: Witness, ask: Question, outer: AbortSignal): Promise<void> {
    const patience = new AbortController();
    const signal = AbortSignal.any([outer, patience.signal]);
    const late = new Error(`no answer within ${answerWithinMs / 1_000} seconds`);
    this.sleep(answerWithinMs, signal).then(
      () => patience.abort(late),
      () => undefined, // It was answered in time, or everything is over.
    );
    try {
      const testify = this.asking(witness);
      let hasSpoken = false;
      await ask((at, resolutionMs, isHearsay) => {
        hasSpoken = true;
        testify(at, resolutionMs, isHearsay);
      }, signal);
      if (witness === 'google') this.#reached(hasSpoken);
    } catch (error) {
      // A witness that cannot be reached says nothing; this is shown with the doubt.
      if (witness === 'google') this.#unreachable(error);
    } finally {
      patience.abort(late);
    }
  }

  #reached(hasSpoken: boolean): void {
    this.#unreached = undefined;
    this.#datesAreOff = false;
    this.#isUndated = !hasSpoken;
  }

  /** There is nobody to compare with, neither at the start nor after the clock was set. */
  #takeAsItIs(): void {
    this.#confirmed = true;
    this.#base = this.#last;
  }

  #unreachable(error: unknown): void {
    this.#isUndated = false;
    this.#unreached = error instanceof Error ? error.message : 'an unknown error';
    this.#datesAreOff = isAboutDates(error);
  }

  #read(): Reading {
    const { clock, monotonic } = this.#options;
    return { wall: clock.now(), monotonic: monotonic() };
  }

  #look(): void {
    const before = this.#last;
    this.#last = this.#read();
    const set = difference(this.#last, before);
    if (Math.abs(set) > toleranceMs) {
      this.#epoch += 1;
      this.#offBy.clear();
      this.#judge();
    } else if (this.#problem === undefined) this.#base = this.#last;
  }

  /** When a database's clock was set, its entries are due at the wrong time. */
  #compareDatabase(base: number): void {
    const before = this.#databaseBase;
    this.#databaseBase = base;
    if (before !== undefined && Math.abs(base - before) > toleranceMs) this.#epoch += 1;
  }

  #judge(): void {
    const google = this.#offBy.get('google');
    const offBy = google ?? this.#offBy.get('journal');
    const isRight = offBy !== undefined && Math.abs(offBy) <= toleranceMs;
    const set = difference(this.#last, this.#base);
    if (isRight && google === undefined && this.#datesAreOff) {
      this.#tell(`by it Google’s certificate is not valid: ${this.#unreached}`);
    } else if (isRight) {
      this.#confirmed = true;
      this.#base = this.#last;
      this.#tell(undefined);
    } else if (offBy !== undefined) {
      const whose = google === undefined ? 'the database’s' : 'Google’s';
      this.#tell(`it is ${seconds(offBy)} ${offBy > 0 ? 'ahead of' : 'behind'} ${whose}`);
    } else if (Math.abs(set) > toleranceMs) {
      this.#tell(`it was set ${set > 0 ? 'forward' : 'back'} by ${seconds(set)}${this.#unknown()}`);
    } else {
      this.#tell(this.#confirmed ? undefined : `nobody has confirmed it yet${this.#unknown()}`);
    }
  }

  #unknown(): string {
    return this.#unreached === undefined ? '' : `, and Google cannot be asked: ${this.#unreached}`;
  }

  #tell(problem: string | undefined): void {
    this.#problem = problem;
    const { events } = this.#options;
    // Its numbers change all the time; its meaning does not.
    const kind = problem?.replace(/\d+/g, '');
    if (kind !== this.#told) {
      this.#told = kind;
      events.emit('clock', problem === undefined ? { right: true } : { right: false, problem });
    }
    if (problem === undefined) for (const trust of this.#trusting.splice(0)) trust();
  }
}

/** What TLS says about a certificate's dates may really be about the clock. */
function isAboutDates(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error ? error.code : undefined;
  return code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID' || isAboutDates(error.cause);
}

/** By how much the wall clock advanced more than the monotonic one. */
function difference(now: Reading, before: Reading): number {
  return now.wall - before.wall - (now.monotonic - before.monotonic);
}

function seconds(ms: number): string {
  const whole = Math.round(Math.abs(ms) / 1_000);
  return `${whole} second${whole === 1 ? '' : 's'}`;
}
