import { describe, expect, it } from 'vitest';
import { type EventMap, Events } from '../../src/events/events.ts';
import { JournalError } from '../../src/journal/journal.ts';
import { MemoryJournal } from '../../src/journal/memory-journal.ts';
import { Worker } from '../../src/lifecycle/worker.ts';
import type { Delivery, Inbox } from '../../src/notification/inbox.ts';
import type { VisitContext } from '../../src/visit/visit.ts';
import { ScheduledClock } from '../support/scheduled-clock.ts';

const never = new AbortController().signal;
const message = Buffer.from('{"certificateProvisioningProcessId":"p1","customerId":"C01"}');

/** Hands out what it is given, then waits for the end. */
class FakeInbox implements Inbox {
  readonly acknowledged: string[] = [];
  readonly released: string[] = [];
  failure: Error | undefined;
  readonly #bodies: readonly Uint8Array[];

  constructor(...bodies: readonly Uint8Array[]) {
    this.#bodies = bodies;
  }

  async *deliveries(signal: AbortSignal): AsyncIterable<Delivery> {
    for (const body of this.#bodies) {
      const name = Buffer.from(body).toString('utf8').slice(0, 12);
      yield {
        body,
        attempt: 1,
        acknowledge: () => void this.acknowledged.push(name),
        release: () => void this.released.push(name),
      };
    }
    if (this.failure !== undefined) throw this.failure;
    if (signal.aborted) return;
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing is open.
  }
}

function workerOf(inbox: Inbox, get: () => Promise<never>) {
  const clock = new ScheduledClock();
  const journal = new MemoryJournal(clock);
  const events = new Events();
  const told: [string, unknown][] = [];
  for (const name of ['notification', 'trouble', 'closed', 'bug', 'journal'] as const) {
    const hear = (data: EventMap[typeof name]) => told.push([name, data]);
    (events.on as (name: string, listener: typeof hear) => void).call(events, name, hear);
  }
  const context = {
    api: { get },
    authorities: new Map(),
    profiles: new Map(),
    unmatched: 'refuse',
    instance: 'i',
    signingDeadlineMs: 1,
    issuingDeadlineMs: 1_000_000,
    clock,
    random: () => 1,
    events,
  } as unknown as VisitContext;
  const options = { visits: 2, leaseMs: 30_000, drainMs: 6_000, retentionMs: 1_000 };
  const worker = new Worker({ inbox, journal, context, ...options });
  const stop = new AbortController();
  let ended: unknown;
  worker.run(stop.signal).then(
    () => {
      ended = 'ended';
    },
    (error: unknown) => {
      ended = error;
    },
  );
  return { clock, journal, told, worker, stop, ended: () => ended };
}

const hanging = () => new Promise<never>(() => undefined);

describe('a worker', () => {
  it('acknowledges what is written down, and what nobody can read', async () => {
    const inbox = new FakeInbox(message, Buffer.from('rubbish'), message);
    const { clock, journal, told } = workerOf(inbox, hanging);
    await clock.advance(10);
    expect(inbox.acknowledged).toHaveLength(3);
    expect(told.map(([, data]) => (data as { result?: string }).result)).toEqual(
      expect.arrayContaining(['opened', 'unreadable', 'known']),
    );
    expect((await journal.summary(never)).open.claim).toBe(1);
  });

  it('gives back what cannot be written down, after a pause', async () => {
    const inbox = new FakeInbox(message);
    const { clock, journal, told } = workerOf(inbox, hanging);
    journal.open = () => Promise.reject(new JournalError('The disk is full.'));
    await clock.advance(1_900);
    expect([...inbox.released, ...inbox.acknowledged]).toEqual([]);
    await clock.advance(200);
    expect(inbox.released).toHaveLength(1);
    expect(inbox.acknowledged).toEqual([]);
    expect(told).toContainEqual([
      'notification',
      { result: 'unwritten', processId: 'p1', problem: 'The disk is full.' },
    ]);
  });

  it('looks late at a process after an error that nobody foresaw, and goes on', async () => {
    let looks = 0;
    const { clock, told, worker } = workerOf(new FakeInbox(message), () => {
      looks += 1;
      throw new TypeError('a mistake');
    });
    await clock.advance(59_000);
    expect(looks).toBe(1);
    await clock.advance(6_000);
    expect(looks).toBe(2);
    expect(told.filter(([name]) => name === 'bug')).toHaveLength(2);
    expect(clock.now() - worker.turnedAt).toBeLessThanOrEqual(5_000);
  });

  it('goes on when the journal fails for a while, and tells once it works again', async () => {
    let looks = 0;
    const { clock, journal, told } = workerOf(new FakeInbox(message), () => {
      looks += 1;
      return hanging();
    });
    const takeDue = journal.takeDue.bind(journal);
    journal.takeDue = () => Promise.reject(new JournalError('The connection broke.'));
    await clock.advance(5_000);
    expect(looks).toBe(0);
    journal.takeDue = takeDue;
    await clock.advance(2_000);
    expect(looks).toBe(1);
    const journalEvents = told.filter(([name]) => name === 'journal').map(([, data]) => data);
    expect(journalEvents[0]).toEqual({ up: false, problem: 'The connection broke.' });
    expect(journalEvents.at(-1)).toEqual({ up: true });
  });

  it('aborts a visit that hangs when the drain time is over, and gives its entry back', async () => {
    const { clock, journal, stop, ended } = workerOf(new FakeInbox(message), hanging);
    // A call that does not listen would hold the worker for ever; the API's calls all listen.
    const abortable = workerOf(new FakeInbox(message), hanging);
    abortable.stop.abort();
    await clock.advance(1_000);
    await abortable.clock.advance(7_000);
    expect(abortable.ended()).toBe('ended');
    stop.abort();
    await clock.advance(5_900);
    expect(ended()).toBeUndefined();
    expect(await journal.nextDueAt(never)).toBeGreaterThan(clock.now());
  });

  it('ends with the inbox’s error when no waiting can mend it', async () => {
    const inbox = new FakeInbox();
    inbox.failure = new Error('There is no such subscription.');
    const { clock, ended } = workerOf(inbox, hanging);
    await clock.advance(10);
    expect(ended()).toBe(inbox.failure);
  });

  it('forgets closed processes after their retention', async () => {
    const { clock, journal } = workerOf(new FakeInbox(), hanging);
    await journal.open({ customer: 'c', processId: 'old' }, never);
    const [leased] = await journal.takeDue('x', 1, 1_000, never);
    if (leased === undefined) throw new Error('It must be due.');
    await journal.close(leased, { outcome: 'delivered', record: {} }, never);
    await clock.advance(30 * 60_000);
    expect((await journal.summary(never)).closed).toBe(1);
    await clock.advance(31 * 60_000);
    expect((await journal.summary(never)).closed).toBe(0);
  });
});
