import { describe, expect, it } from 'vitest';
import {
  type EntryChange,
  JournalError,
  type LeasedEntry,
  LeaseLostError,
} from '../../src/journal/journal.ts';
import { MemoryJournal } from '../../src/journal/memory-journal.ts';
import { LeasedVisit } from '../../src/lifecycle/leased-visit.ts';
import { ScheduledClock } from '../support/scheduled-clock.ts';

const never = new AbortController().signal;
const leaseMs = 30_000;
const claim = { callerInstanceId: 'a', intendedAt: 1 };
const claimed = { claim: { ...claim, claimedAt: 2 } };

/** A journal that fails the writes whose number, from 1, is listed, before or after it has written. */
class FailingJournal extends MemoryJournal {
  writes = 0;
  /** Another instance has taken it over. */
  lost = false;
  readonly failsBefore = new Set<number>();
  readonly failsAfter = new Set<number>();

  override async save(leased: LeasedEntry, change: EntryChange, signal: AbortSignal) {
    this.writes += 1;
    const number = this.writes;
    if (this.lost) throw new LeaseLostError(leased.processId);
    if (this.failsBefore.has(number)) throw new JournalError('down');
    await super.save(leased, change, signal);
    if (this.failsAfter.has(number)) throw new JournalError('no answer');
  }
}

async function visitOf(outer = never) {
  const clock = new ScheduledClock();
  const journal = new FailingJournal(clock);
  await journal.open({ customer: 'c', processId: 'p' }, never);
  const take = async () => (await journal.takeDue('i', 1, leaseMs, never))[0];
  const leased = await take();
  if (leased === undefined) throw new Error('It must be due.');
  const visit = new LeasedVisit({ journal, leased, leaseMs, takenAt: clock.now(), clock }, outer);
  return { clock, journal, visit, take };
}

/** Lets time pass as it does in the worker, which has leases renewed now and then. */
async function passing(clock: ScheduledClock, visit: LeasedVisit, forMs: number) {
  for (let passedMs = 0; passedMs < forMs; passedMs += leaseMs / 6) {
    await clock.advance(leaseMs / 6);
    await visit.renew();
  }
}

describe('a visit', () => {
  it('guards its lease up to two seconds before the end, and longer after each save', async () => {
    const { clock, visit } = await visitOf();
    await clock.advance(20_000);
    expect(visit.guard).not.toThrow();
    await visit.save({ claim });
    await visit.close({ outcome: 'gone', record: {} });
    expect(visit.guard).toThrow();
  });

  it('does not pass its guard when it stood still beyond its lease', async () => {
    const clock = new ScheduledClock();
    const journal = new MemoryJournal(clock);
    await journal.open({ customer: 'c', processId: 'p' }, never);
    const [leased] = await journal.takeDue('i', 1, leaseMs, never);
    if (leased === undefined) throw new Error('It must be due.');
    // A machine that stood still: its timers have not run, its clock has gone on.
    let now = 0;
    const stopped = { now: () => now, sleep: () => new Promise<void>(() => undefined) };
    const options = { journal, leased, leaseMs, takenAt: 0, clock: stopped };
    const visit = new LeasedVisit(options, never);
    now = leaseMs - 2_001;
    expect(visit.guard).not.toThrow();
    now = leaseMs - 2_000;
    expect(visit.guard).toThrow(LeaseLostError);
  });

  it('keeps its lease by a heartbeat while a step takes its time', async () => {
    const { clock, journal, take, visit } = await visitOf();
    await passing(clock, visit, 5 * 60_000);
    expect(await take()).toBeUndefined();
    expect(journal.writes).toBeLessThanOrEqual((5 * 60_000) / (leaseMs / 3));
    expect(visit.guard).not.toThrow();
    expect(visit.signal.aborted).toBe(false);
  });

  it('is aborted when its heartbeat finds it taken over', async () => {
    const { clock, journal, visit } = await visitOf();
    journal.lost = true;
    await passing(clock, visit, leaseMs);
    expect(visit.signal.aborted).toBe(true);
    expect(visit.signal.reason).toBeInstanceOf(LeaseLostError);
    await expect(visit.save({ claim })).rejects.toBeInstanceOf(LeaseLostError);
  });

  it('whose heartbeat follows a write of unknown end writes the newer record', async () => {
    const { clock, journal, visit, take } = await visitOf();
    journal.failsAfter.add(1);
    const saved = visit.save({ claim });
    const failed = expect(saved).rejects.toBeInstanceOf(JournalError);
    await clock.advance(60_000);
    await failed;
    expect((await take())?.record).toEqual({ claim });
  });

  it('hands its record in when the journal works again, and is over', async () => {
    const { clock, journal, visit, take } = await visitOf();
    for (const write of [1, 2]) journal.failsBefore.add(write);
    const failed = expect(visit.save({ claim })).rejects.toBeInstanceOf(JournalError);
    await clock.advance(21_000);
    await failed;
    expect(visit.signal.aborted).toBe(true);
    expect((await take())?.record).toEqual({ claim });
  });

  it('gives up when the journal stays away for longer than its lease', async () => {
    const { clock, journal, visit, take } = await visitOf();
    for (let write = 1; write < 50; write += 1) journal.failsBefore.add(write);
    const failed = expect(visit.save({ claim })).rejects.toBeInstanceOf(JournalError);
    await clock.advance(120_000);
    await failed;
    expect((await take())?.record).toEqual({});
  });

  it('that is aborted gives back what it came to know last', async () => {
    const stop = new AbortController();
    const { visit, take } = await visitOf(stop.signal);
    await visit.save({ claim });
    stop.abort(new Error('drained'));
    await expect(visit.save(claimed)).rejects.toThrow('drained');
    await visit.giveBack();
    expect((await take())?.record).toEqual(claimed);
  });

  it('is in doubt while the journal fails, and goes on under lease when it works again', async () => {
    const { clock, journal, visit } = await visitOf();
    for (let write = 1; write < 6; write += 1) journal.failsBefore.add(write);
    await passing(clock, visit, leaseMs);
    expect(visit.signal.aborted).toBe(false);
    expect(visit.guard).toThrow(LeaseLostError);
    await passing(clock, visit, leaseMs);
    expect(visit.guard).not.toThrow();
  });

  it('lets go of its timers and listeners at the end', async () => {
    const { clock, journal, visit } = await visitOf();
    await visit.rest({ claim }, clock.now() + 60 * 60_000);
    await visit[Symbol.asyncDispose]();
    const { writes } = journal;
    await clock.advance(10 * 60_000);
    expect(journal.writes).toBe(writes);
  });
});
