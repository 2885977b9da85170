import type { Events } from '../events/events.ts';
import { aged } from '../journal/age.ts';
import { forgetClosed } from '../journal/forget-closed.ts';
import { inventoryOf } from '../journal/inventory.ts';
import {
  type Journal,
  JournalError,
  type LeasedEntry,
  LeaseLostError,
} from '../journal/journal.ts';
import type { Inbox } from '../notification/inbox.ts';
import { Intake } from '../notification/intake.ts';
import type { Clock } from '../time/clock.ts';
import { type End, type Step, type VisitContext, whoOf } from '../visit/visit.ts';
import { blindTrust, type ClockTrust } from '../watch/clock-trust.ts';
import { keepLeased, LeasedVisit } from './leased-visit.ts';
import { advance, afterTrouble, roomOf } from './lifecycle.ts';
import { tellClosed, tellStage, tellTrouble } from './tell-visit.ts';

/*
 * Two loops. One takes notifications (intake.ts). The other visits due entries, each under its lease, and
 * walks them as far as they will go now. The catch in #step() is the one place where an error becomes a
 * decision.
 */

export interface WorkerOptions {
  readonly inbox: Inbox;
  readonly journal: Journal;
  readonly context: VisitContext;
  /** Visits at once. */
  readonly visits: number;
  readonly leaseMs: number;
  /** How long visits may go on after the stop before they are aborted. */
  readonly drainMs: number;
  /** How long closed processes stay in the journal. */
  readonly retentionMs: number;
  /** While the clock cannot be relied on nothing is taken up. */
  readonly trust?: ClockTrust;
}

/** The journal is asked at least this often, also when nothing announces work. */
const longestIdleMs = 5_000;
/** The journal is left alone this long after it failed. */
const journalPauseMs = 1_000;
/** How often a clock in doubt is looked at. */
const doubtPauseMs = 1_000;
/** How often leases are looked at while one lasts. */
const renewalsPerLease = 6;
/** Made once: an AbortController makes an error with a stack where it is given no reason. */
const wokenUp = new Error('There is something to do.');
/** No visit takes this many steps; one that would is a bug. */
const mostSteps = 40;

export class Worker {
  readonly #options: WorkerOptions;
  readonly #clock: Clock;
  readonly #events: Events;
  readonly #visits = new Set<Promise<void>>();
  readonly #leases = new Set<LeasedVisit>();
  readonly #intake: Intake;
  #wake = new AbortController();
  readonly #trust: ClockTrust;
  #turnedAt: number;
  /** Of the clock by which due times were last settled. */
  #epoch: number | undefined;
  #journalIsUp = true;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#clock = options.context.clock;
    this.#events = options.context.events;
    this.#trust = options.trust ?? blindTrust;
    this.#turnedAt = this.#clock.now();
    const { inbox, journal } = options;
    this.#intake = new Intake({
      inbox,
      journal,
      clock: this.#clock,
      events: this.#events,
      onOpened: () => this.#wake.abort(wokenUp),
    });
  }

  /** When the visiting loop last came round, in milliseconds since the epoch: the worker's pulse. */
  get turnedAt(): number {
    return this.#turnedAt;
  }

  /**
   * Works until the signal is aborted, then drains: visits may end, the rest is aborted and kept. Rejects
   * when a loop fails for good.
   */
  async run(outer: AbortSignal): Promise<void> {
    const failed = new AbortController();
    const signal = AbortSignal.any([outer, failed.signal]);
    const visiting = new AbortController();
    const wake = () => this.#wake.abort(wokenUp);
    signal.addEventListener('abort', wake, { once: true });
    this.#options.journal.onWake?.(wake);
    const loops = [
      this.#intake.run(signal),
      this.#visitDueEntries(signal, visiting.signal),
      forgetClosed({
        journal: this.#options.journal,
        retentionMs: this.#options.retentionMs,
        clock: this.#clock,
        trust: this.#trust,
        onTrouble: (error) => this.#journalTrouble(error),
        signal,
      }),
    ];
    const renewing = new AbortController();
    const everyMs = this.#options.leaseMs / renewalsPerLease;
    const renewals = keepLeased(this.#leases, everyMs, this.#clock, renewing.signal);
    const fail = (error: unknown) => failed.abort(error);
    for (const loop of loops) loop.catch(fail);
    await Promise.allSettled(loops);
    await this.#drain(visiting);
    renewing.abort();
    await renewals;
    await Promise.all(loops);
  }

  async #drain(visiting: AbortController): Promise<void> {
    const drained = new AbortController();
    const patience = this.#clock.sleep(this.#options.drainMs, drained.signal);
    patience.then(
      () => visiting.abort(new Error('The drain time is over.')),
      () => undefined, // Everything ended in time.
    );
    await Promise.allSettled([this.#intake.settled(), ...this.#visits]);
    drained.abort();
  }

  async #visitDueEntries(signal: AbortSignal, visiting: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#turnedAt = this.#clock.now();
      this.#wake = new AbortController();
      try {
        if (this.#trust.problem !== undefined) {
          await this.#doubt();
          continue;
        }
        const idleMs = await this.#fillVisits(signal, visiting);
        if (idleMs > 0) await this.#idle(idleMs);
      } catch (error) {
        if (signal.aborted) return;
        this.#journalTrouble(error);
        await this.#clock.sleep(journalPauseMs, signal).catch(() => undefined);
      }
    }
  }

  /** Leases what is due while there are places; returns how long nothing more is to be done. */
  async #fillVisits(signal: AbortSignal, visiting: AbortSignal): Promise<number> {
    const { journal, context, visits, leaseMs } = this.#options;
    const places = visits - this.#visits.size;
    if (places <= 0) return longestIdleMs;
    await this.#settleDue(signal);
    const takenAt = this.#clock.now();
    const due = await journal.takeDue(context.instance, places, leaseMs, signal);
    this.#journalWorks();
    // Leases that ran out on their way here are anybody's again, this worker's too.
    if (this.#clock.now() >= takenAt + leaseMs) return 1;
    for (const leased of due) this.#start(leased, takenAt, visiting);
    if (due.length > 0) return 0;
    const nextDueAt = await journal.nextDueAt(signal);
    const untilDueMs = (nextDueAt ?? Number.POSITIVE_INFINITY) - this.#clock.now();
    return Math.min(longestIdleMs, Math.max(1, untilDueMs));
  }

  async #doubt(): Promise<void> {
    const { signal } = this.#wake;
    this.#trust.untilTrusted(signal).then(
      () => this.#wake.abort(wokenUp),
      () => undefined, // It was looked at again for another reason.
    );
    await this.#idle(doubtPauseMs);
    this.#wake.abort(wokenUp);
  }

  /** A clock that was set has made entries due too late, and has ended the leases of visits that go on. */
  async #settleDue(signal: AbortSignal): Promise<void> {
    const { epoch } = this.#trust;
    if (epoch === this.#epoch) return;
    const { journal, context } = this.#options;
    await Promise.all([...this.#leases].map((visit) => visit.renew(true)));
    await journal.settleDue(signal);
    // A start may have brought the table a reference that was missing.
    if (this.#epoch === undefined && context.unmatched === 'hold')
      await journal.hasten('claim', signal);
    this.#epoch = epoch;
  }

  async #idle(forMs: number): Promise<void> {
    // A wake-up is what the wait is for, so it is no error.
    await this.#clock.sleep(forMs, this.#wake.signal).catch(() => undefined);
  }

  #start(leased: LeasedEntry, takenAt: number, signal: AbortSignal): void {
    const visit = this.#visit(leased, takenAt, signal).finally(() => {
      const wasFull = this.#visits.size >= this.#options.visits;
      this.#visits.delete(visit);
      if (wasFull) this.#wake.abort(wokenUp);
    });
    this.#visits.add(visit);
  }

  /** One stay with one process. Never rejects. */
  async #visit(leased: LeasedEntry, takenAt: number, signal: AbortSignal): Promise<void> {
    const { journal, context, leaseMs } = this.#options;
    const options = { journal, leased, leaseMs, takenAt, clock: this.#clock, trust: this.#trust };
    await using visit = new LeasedVisit(options, signal);
    this.#leases.add(visit);
    try {
      for (let steps = 0; ; steps += 1) {
        if (steps >= mostSteps)
          throw new Error(`A visit did not come to rest: ${roomOf(visit.record)}.`);
        // Another instance may have a better clock; ours takes nothing until it is right again.
        if (this.#trust.problem !== undefined) return await this.#pause(visit);
        const step = await this.#step(visit, context);
        if (step.kind === 'wait') return await this.#rest(visit, step);
        if (step.kind === 'end') return await this.#close(visit, step);
        tellStage(this.#events, visit, step.record, this.#clock.now());
        visit.proceed(step.record);
      }
    } catch (error) {
      await this.#abandon(visit, error, signal);
    } finally {
      this.#leases.delete(visit);
    }
  }

  async #step(visit: LeasedVisit, context: VisitContext): Promise<Step> {
    try {
      const step = await advance(visit, context, visit.signal);
      const { trouble: _overcome, ...record } = step.record;
      return { ...step, record };
    } catch (error) {
      if (isForTheJournal(error) || visit.signal.aborted) throw error;
      const step = afterTrouble(error, visit.record, context, this.#clock.now());
      tellTrouble(this.#events, visit, error, step);
      return step;
    }
  }

  async #rest(visit: LeasedVisit, step: Extract<Step, { kind: 'wait' }>): Promise<void> {
    const now = this.#clock.now();
    tellStage(this.#events, visit, step.record, now);
    await visit.rest(aged(step.record, now, step.forMs), now + step.forMs);
    // The idle loop may be waiting for something later than this.
    if (step.forMs < longestIdleMs) this.#wake.abort(wokenUp);
  }

  async #pause(visit: LeasedVisit): Promise<void> {
    const now = this.#clock.now();
    await visit.rest(aged(visit.record, now, 0), now);
  }

  async #close(visit: LeasedVisit, step: End): Promise<void> {
    const { outcome, code, record } = step;
    const kept = inventoryOf(record);
    await visit.close({ outcome, record: kept, ...(code === undefined ? {} : { code }) });
    const now = this.#clock.now();
    tellStage(this.#events, visit, record, now, true);
    tellClosed(this.#events, visit.entry, step, now);
  }

  /** A visit that cannot go on: the journal has what was written, and the lease runs out by itself. */
  async #abandon(visit: LeasedVisit, error: unknown, signal: AbortSignal): Promise<void> {
    if (error instanceof LeaseLostError) return;
    if (signal.aborted) return visit.giveBack();
    if (error instanceof JournalError) return this.#journalTrouble(error);
    if (visit.signal.aborted) return;
    const { entry, record } = visit;
    this.#events.emit('bug', { processId: entry.processId, ...whoOf(record), error });
  }

  #journalWorks(): void {
    if (this.#journalIsUp) return;
    this.#journalIsUp = true;
    this.#events.emit('journal', { up: true });
  }

  #journalTrouble(error: unknown): void {
    if (!(error instanceof JournalError)) return void this.#events.emit('bug', { error });
    this.#journalIsUp = false;
    this.#events.emit('journal', { up: false, problem: error.message });
  }
}

function isForTheJournal(error: unknown): boolean {
  return error instanceof LeaseLostError || error instanceof JournalError;
}
