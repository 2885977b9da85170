import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freshStanding } from '../../src/authority/standing.ts';
import type { Journal, LeasedEntry } from '../../src/journal/journal.ts';
import { LeaseLostError } from '../../src/journal/journal.ts';
import { MemoryJournal } from '../../src/journal/memory-journal.ts';
import type { ProcessRecord } from '../../src/journal/process-record.ts';
import type { Room } from '../../src/request/room.ts';
import type { Clock } from '../../src/time/clock.ts';
import { type Answer, apply, operations } from './operations.ts';

/** A journal whose time stands still until it is told to go on. */
export interface JournalUnderTest extends AsyncDisposable {
  readonly journal: Journal;
  readonly clock: Clock;
  advance(byMs: number): Promise<void>;
}

export interface ContractOptions {
  /** How many sequences the property tries. 0 for the model itself. */
  readonly propertyRuns: number;
}

const startsAt = Date.UTC(2026, 0, 1);
const minute = 60_000;
const leaseMs = 30_000;
const never = new AbortController().signal;

/** A clock for one journal; sleeping is not a journal's business. */
export function stoppedClock(): { clock: Clock; advance: (byMs: number) => Promise<void> } {
  let now = startsAt;
  return {
    clock: { now: () => now, sleep: () => Promise.reject(new Error('A journal does not sleep.')) },
    async advance(byMs) {
      now += byMs;
    },
  };
}

export function recordWith(mark: string): ProcessRecord {
  return { claim: { callerInstanceId: mark, intendedAt: 1 } };
}

export function notified(processId: string, customer = 'my_customer') {
  return { customer, processId };
}

/** What every journal promises, whatever it is made of. */
export function describeJournal(
  name: string,
  start: () => Promise<JournalUnderTest>,
  options: ContractOptions,
): void {
  describe(`${name} keeps the journal's promises`, () => {
    let test: JournalUnderTest;
    let journal: Journal;

    beforeEach(async () => {
      test = await start();
      journal = test.journal;
    });
    afterEach(() => test[Symbol.asyncDispose]());

    const take = (limit = 100, instance = 'one') =>
      journal.takeDue(instance, limit, leaseMs, never);
    const takeOne = async (instance = 'one'): Promise<LeasedEntry> => {
      const [entry] = await take(1, instance);
      if (entry === undefined) throw new Error('Nothing was due.');
      return entry;
    };
    const open = (...ids: string[]) =>
      Promise.all(ids.map((id) => journal.open(notified(id), never)));
    const ids = (entries: readonly LeasedEntry[]) => entries.map(({ processId }) => processId);

    describe('open', () => {
      it('lets nobody rest or be leased for longer than was meant, once a clock was set back', async () => {
        for (const id of ['rests', 'leased', 'new', 'closed'])
          await journal.open(notified(id), never);
        const take = () => journal.takeDue('i', 10, leaseMs, never);
        for (const leased of await take()) {
          const { processId } = leased;
          const dueAt = test.clock.now() + 5 * minute;
          if (processId === 'new')
            await journal.save(
              leased,
              { record: {}, room: 'claim', dueAt: test.clock.now() },
              never,
            );
          if (processId === 'rests')
            await journal.save(leased, { record: {}, room: 'claim', dueAt }, never);
          if (processId === 'closed')
            await journal.close(leased, { outcome: 'gone', record: {} }, never);
        }
        await test.advance(-365 * 24 * 60 * minute);
        expect(await take()).toEqual([]);
        await journal.settleDue(never);
        const ids = async () => (await take()).map(({ processId }) => processId);
        expect(await ids()).toEqual(['new']);
        await test.advance(leaseMs);
        expect((await ids()).toSorted()).toEqual(['leased', 'new']);
        await test.advance(5 * minute - leaseMs);
        expect(await ids()).toContain('rests');
        expect(await journal.summary(never)).toMatchObject({ closed: 1 });
      });

      it('writes a process down, due at once, with an empty record', async () => {
        expect(await journal.open(notified('a', 'C01'), never)).toBe('opened');
        expect(await take()).toEqual([
          { customer: 'C01', processId: 'a', openedAt: test.clock.now(), record: {}, fence: 1 },
        ]);
      });

      it('knows a process that was announced before, also under another customer', async () => {
        await journal.open(notified('a', 'my_customer'), never);
        expect(await journal.open(notified('a', 'C01'), never)).toBe('known');
        expect(await take()).toMatchObject([{ processId: 'a', customer: 'my_customer' }]);
      });

      it('adds another customer to a process that nobody meant to claim yet, and takes it from a visit', async () => {
        await journal.open(notified('a', 'C1'), never);
        const overtaken = await takeOne();
        for (const customer of ['C2', 'C3', 'C2', 'C1']) {
          expect(await journal.open(notified('a', customer), never)).toBe('known');
        }
        const entry = await takeOne('two');
        expect(entry).toMatchObject({ customer: 'C1', otherCustomers: ['C2', 'C3'], record: {} });
        const late = journal.save(overtaken, { record: recordWith('x'), room: 'claim' }, never);
        await expect(late).rejects.toThrow(LeaseLostError);
        await journal.save(entry, { record: recordWith('meant'), room: 'claim' }, never);
        await journal.open(notified('a', 'C4'), never);
        const dueAt = test.clock.now();
        await journal.save(entry, { record: recordWith('meant'), room: 'claim', dueAt }, never);
        expect((await takeOne()).otherCustomers).toEqual(['C2', 'C3']);
      });

      it('keeps no more than so many customers', async () => {
        for (let index = 0; index < 100; index += 1) {
          await journal.open(notified('a', `C${index}`.padEnd(100, 'x')), never);
        }
        expect((await takeOne()).otherCustomers?.length).toBeLessThan(6);
      });

      it('opens one again that is gone and was never claimed, with what is known of it', async () => {
        await open('a', 'b');
        const late = await takeOne();
        const record = recordWith('meant');
        await journal.close(late, { outcome: 'gone', code: 'google-not-found', record }, never);
        await test.advance(minute);
        expect(await journal.open(notified('a', 'C2'), never)).toBe('opened');
        expect((await journal.summary(never)).open.claim).toBe(2);
        expect((await journal.summary(never)).closed).toBe(0);
        const change = { record: {}, room: 'claim' } as const;
        await expect(journal.save(late, change, never)).rejects.toThrow(LeaseLostError);
        const again = (await take()).find(({ processId }) => processId === 'a');
        const openedAt = test.clock.now();
        expect(again).toMatchObject({ customer: 'C2', openedAt, record });
        expect(await journal.prune(test.clock.now() + 1, 10, never)).toBe(0);
      });

      it.each([
        ['yielded', recordWith('a')],
        ['refused', recordWith('a')],
        ['gone', { claim: { callerInstanceId: 'a', intendedAt: 1, claimedAt: 2 } }],
      ] as const)('does not open again what ended as %s with %j', async (outcome, record) => {
        await open('a');
        await journal.close(await takeOne(), { outcome, record }, never);
        expect(await journal.open(notified('a', 'C2'), never)).toBe('known');
        expect(await take()).toEqual([]);
      });

      it('changes nothing when it is repeated for a process that waits', async () => {
        await open('a');
        const entry = await takeOne();
        const dueAt = test.clock.now() + minute;
        await journal.save(entry, { record: recordWith('kept'), room: 'claim', dueAt }, never);
        expect(await open('a')).toEqual(['known']);
        expect(await take()).toEqual([]);
        expect(await journal.nextDueAt(never)).toBe(dueAt);
      });

      it('knows a process that was closed', async () => {
        await open('a');
        await journal.close(await takeOne(), { outcome: 'delivered', record: {} }, never);
        expect(await open('a')).toEqual(['known']);
        expect(await take()).toEqual([]);
      });

      it('opens each of many processes once when announced in parallel', async () => {
        const announced = Array.from({ length: 300 }, (_, index) => `p${index % 100}`);
        const answers = await open(...announced);
        expect(answers.filter((answer) => answer === 'opened')).toHaveLength(100);
        expect((await journal.summary(never)).open.claim).toBe(100);
      });
    });

    describe('takeDue', () => {
      it('takes the longest due first, and no more than asked for', async () => {
        for (const id of ['a', 'b', 'c']) {
          await open(id);
          await test.advance(1_000);
        }
        expect(ids(await take(2))).toEqual(['a', 'b']);
        expect(ids(await take(2))).toEqual(['c']);
        expect(ids(await take(2))).toEqual([]);
      });

      it('takes entries due at the same time in the order in which they were opened', async () => {
        for (const id of ['z', 'm', 'a']) await open(id);
        expect(ids(await take())).toEqual(['z', 'm', 'a']);
      });

      it('serves new entries before those that rested for long, who keep a fourth of the places', async () => {
        const rested = ['r1', 'r2', 'r3', 'r4', 'r5', 'r6'];
        await open(...rested);
        const dueAt = test.clock.now() + 5_000;
        for (const entry of await take()) {
          await journal.save(entry, { record: {}, room: 'possession', dueAt }, never);
        }
        await test.advance(minute);
        await open('n1', 'n2', 'n3', 'n4', 'n5', 'n6');
        const taken = async (limit: number) => ids(await take(limit)).sort();
        expect(await taken(4)).toEqual(['n1', 'n2', 'n3', 'r1']);
        const one = [await taken(1), await taken(1), await taken(1), await taken(1)].flat();
        expect(one.sort()).toEqual(['n4', 'n5', 'n6', 'r2']);
        expect(await taken(3)).toEqual(['r3', 'r4', 'r5']);
        await open('n7', 'n8');
        expect(await taken(100)).toEqual(['n7', 'n8', 'r6']);
      });

      it('serves those that rested for a second at most before new ones, and all others after them', async () => {
        await open('looked', 'rested', 'torn');
        const [looked, rested, torn] = await take();
        if (looked === undefined || rested === undefined || torn === undefined) {
          throw new Error('All were due.');
        }
        const dueIn = (ms: number) =>
          ({ record: {}, room: 'possession', dueAt: now + ms }) as const;
        const now = test.clock.now();
        await journal.save(rested, dueIn(1_500), never);
        await journal.save(torn, { record: {}, room: 'possession' }, never);
        await open('new');
        await journal.save(looked, dueIn(1_000), never);
        await test.advance(minute);
        const firstThree = [...(await take(1)), ...(await take(1)), ...(await take(1))];
        expect(ids(firstThree)).toEqual(['looked', 'new', 'torn']);
        expect(await journal.nextDueAt(never)).toBe(now + 1_500);
        expect(ids(await take(1))).toEqual(['rested']);
      });

      it('takes nothing when the limit is 0', async () => {
        await open('a');
        expect(await take(0)).toEqual([]);
        expect(ids(await take())).toEqual(['a']);
      });

      it('leaves an entry alone until it is due, and takes it at that very moment', async () => {
        await open('a');
        const dueAt = test.clock.now() + minute;
        await journal.save(await takeOne(), { record: {}, room: 'claim', dueAt }, never);
        await test.advance(minute - 1);
        expect(await take()).toEqual([]);
        await test.advance(1);
        expect(ids(await take())).toEqual(['a']);
      });

      it('gives an entry to another instance only when the lease has run out', async () => {
        await open('a');
        const first = await takeOne('one');
        await test.advance(leaseMs - 1);
        expect(await take(1, 'two')).toEqual([]);
        await test.advance(1);
        const second = await takeOne('two');
        expect(second.fence).toBeGreaterThan(first.fence);
      });

      it('shows the record as it was last saved', async () => {
        await open('a');
        const record: ProcessRecord = {
          ...recordWith('Ünïcode “quotes” \u0000 \u{1f511}'),
          order: {
            number: 1,
            requestId: 'r',
            intendedAt: 2,
            polls: 0,
            ticket: [null, { deep: true }],
          },
        };
        const dueAt = test.clock.now();
        await journal.save(await takeOne(), { record, room: 'issue', dueAt }, never);
        expect(await takeOne()).toMatchObject({ record });
      });

      it('never gives one entry to two takers at once', async () => {
        await open(...Array.from({ length: 200 }, (_, index) => `p${index}`));
        const taken = await Promise.all(
          Array.from({ length: 20 }, (_, index) => take(15, `instance-${index % 3}`)),
        );
        const all = ids(taken.flat());
        expect(new Set(all).size).toBe(all.length);
        const rest = await take(200);
        expect(all.length + rest.length).toBe(200);
      });
    });

    describe('save', () => {
      it('keeps the visit when no due time is given, and renews its lease', async () => {
        await open('a');
        const entry = await takeOne();
        await test.advance(leaseMs - 1);
        await journal.save(entry, { record: recordWith('one'), room: 'claim' }, never);
        await test.advance(leaseMs - 1);
        expect(await take()).toEqual([]);
        await test.advance(1);
        expect(await take()).toMatchObject([{ record: recordWith('one') }]);
      });

      it('ends the visit when a due time is given, even while the lease lasts', async () => {
        await open('a');
        const dueAt = test.clock.now() + 10;
        await journal.save(await takeOne(), { record: {}, room: 'claim', dueAt }, never);
        await test.advance(10);
        expect(ids(await take())).toEqual(['a']);
      });

      it('still takes the word of a visit whose lease ran out and that nobody took over', async () => {
        await open('a');
        const entry = await takeOne();
        await test.advance(leaseMs * 10);
        await journal.save(entry, { record: recordWith('late'), room: 'issue' }, never);
        expect(await take()).toEqual([]);
        await journal.close(entry, { outcome: 'delivered', record: {} }, never);
        expect((await journal.summary(never)).closed).toBe(1);
      });

      it('rejects a visit that was taken over, and writes nothing of it', async () => {
        await open('a');
        const zombie = await takeOne('one');
        await test.advance(leaseMs);
        const present = await takeOne('two');
        await journal.save(present, { record: recordWith('present'), room: 'possession' }, never);
        const change = {
          record: recordWith('zombie'),
          room: 'issue',
          dueAt: test.clock.now(),
        } as const;
        await expect(journal.save(zombie, change, never)).rejects.toThrow(LeaseLostError);
        const closing = { outcome: 'refused', record: recordWith('zombie') } as const;
        await expect(journal.close(zombie, closing, never)).rejects.toThrow(LeaseLostError);
        expect(await take()).toEqual([]);
        expect((await journal.summary(never)).open.possession).toBe(1);
        await test.advance(leaseMs);
        expect(await take()).toMatchObject([{ record: recordWith('present') }]);
      });

      it('rejects a visit after the process was closed', async () => {
        await open('a');
        const entry = await takeOne();
        await journal.close(entry, { outcome: 'gone', record: {} }, never);
        const again = journal.save(entry, { record: {}, room: 'claim' }, never);
        await expect(again).rejects.toThrow(LeaseLostError);
        const twice = journal.close(entry, { outcome: 'gone', record: {} }, never);
        await expect(twice).rejects.toThrow(LeaseLostError);
        expect((await journal.summary(never)).closed).toBe(1);
      });

      it('lets one lost lease fail alone among many writes', async () => {
        await open('lost', ...Array.from({ length: 50 }, (_, index) => `p${index}`));
        const zombie = await takeOne();
        await test.advance(leaseMs);
        const present = await take(100, 'two');
        const change = { record: recordWith('new'), room: 'deliver' } as const;
        const results = await Promise.allSettled(
          [...present, zombie].map((entry) => journal.save(entry, change, never)),
        );
        expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(1);
        expect(results.at(-1)).toMatchObject({ reason: { name: 'LeaseLostError' } });
        expect((await journal.summary(never)).open.deliver).toBe(51);
      });

      it('writes what was asked for in turn when one entry is saved many times at once', async () => {
        await open('a');
        const entry = await takeOne();
        await Promise.all(
          Array.from({ length: 20 }, (_, index) =>
            journal.save(entry, { record: recordWith(`${index}`), room: 'claim' }, never),
          ),
        );
        await test.advance(leaseMs);
        expect(await take()).toMatchObject([{ record: recordWith('19') }]);
      });
    });

    describe('nextDueAt', () => {
      it('is undefined when nothing is open', async () => {
        expect(await journal.nextDueAt(never)).toBeUndefined();
        await open('a');
        await journal.close(await takeOne(), { outcome: 'gone', record: {} }, never);
        expect(await journal.nextDueAt(never)).toBeUndefined();
      });

      it('is the earliest due time or end of a lease', async () => {
        const start = test.clock.now();
        await open('a', 'b');
        expect(await journal.nextDueAt(never)).toBe(start);
        const [a, b] = await take();
        expect(await journal.nextDueAt(never)).toBe(start + leaseMs);
        if (a === undefined || b === undefined) throw new Error('Two were open.');
        await journal.save(a, { record: {}, room: 'claim', dueAt: start + 5 }, never);
        expect(await journal.nextDueAt(never)).toBe(start + 5);
        await journal.close(a, { outcome: 'gone', record: {} }, never);
        await test.advance(7);
        await journal.save(b, { record: {}, room: 'claim' }, never);
        expect(await journal.nextDueAt(never)).toBe(start + 7 + leaseMs);
      });
    });

    describe('summary and prune', () => {
      it('counts open entries by room, and closed ones', async () => {
        await open('a', 'b', 'c', 'd', 'e', 'f');
        const rooms: readonly Room[] = ['claim', 'possession', 'issue', 'deliver', 'deliver'];
        const taken = await take();
        for (const [index, room] of rooms.entries()) {
          await journal.save(taken[index]!, { record: {}, room }, never);
        }
        await journal.close(taken[5]!, { outcome: 'refused', code: 'x', record: {} }, never);
        await journal.close(taken[4]!, { outcome: 'delivered', record: {} }, never);
        expect(await journal.summary(never)).toEqual({
          open: { claim: 1, possession: 1, issue: 1, deliver: 1 },
          closed: 2,
        });
      });

      it('deletes what was closed long ago, oldest first, never what is open', async () => {
        await open('old', 'older', 'young', 'open');
        const [old, older, young] = await take();
        const closing = { outcome: 'delivered', record: {} } as const;
        await journal.close(older!, closing, never);
        await test.advance(10);
        await journal.close(old!, closing, never);
        await test.advance(minute);
        await journal.close(young!, closing, never);
        const before = test.clock.now();
        expect(await journal.prune(before, 1, never)).toBe(1);
        expect(await open('older', 'old')).toEqual(['opened', 'known']);
        expect(await journal.prune(before, 10, never)).toBe(1);
        expect(await journal.prune(before, 10, never)).toBe(0);
        expect(await journal.summary(never)).toMatchObject({ open: { claim: 2 }, closed: 1 });
      });

      it('rejects a visit whose entry was pruned meanwhile', async () => {
        await open('a');
        const entry = await takeOne();
        await journal.close(entry, { outcome: 'gone', record: {} }, never);
        await test.advance(1);
        await journal.prune(test.clock.now(), 10, never);
        const late = journal.save(entry, { record: {}, room: 'claim' }, never);
        await expect(late).rejects.toThrow(LeaseLostError);
      });
    });

    describe('hasten', () => {
      it('makes what waits in the room due at once, and neither other rooms nor visits', async () => {
        await open('waits', 'due', 'other', 'visited', 'ended');
        const taken = new Map((await take()).map((entry) => [entry.processId, entry]));
        const names = ['waits', 'due', 'other', 'visited', 'ended'] as const;
        const [waits, due, other, visited, ended] = names.map((name) => taken.get(name));
        const dueAt = test.clock.now() + 60 * minute;
        await journal.save(waits!, { record: recordWith('kept'), room: 'claim', dueAt }, never);
        await journal.save(due!, { record: {}, room: 'claim', dueAt: startsAt }, never);
        await journal.save(other!, { record: {}, room: 'issue', dueAt }, never);
        await journal.save(visited!, { record: {}, room: 'claim' }, never);
        await journal.close(ended!, { outcome: 'gone', record: {} }, never);
        await journal.hasten('claim', never);
        const hastened = await take();
        expect(ids(hastened).toSorted()).toEqual(['due', 'waits']);
        expect(hastened.find(({ processId }) => processId === 'waits')?.record).toEqual(
          recordWith('kept'),
        );
        await journal.save(visited!, { record: {}, room: 'claim' }, never);
      });
    });

    describe('standing', () => {
      const standing = freshStanding('mark');
      const later = { ...standing, unread: 1 };

      it('is nothing at first, and then what was written last, for each authority', async () => {
        expect(await journal.standing('ca', never)).toBeUndefined();
        expect(await journal.writeStanding('ca', standing, 0, never)).toBe(true);
        expect(await journal.standing('other', never)).toBeUndefined();
        expect(await journal.standing('ca', never)).toEqual({ standing, version: 1 });
        expect(await journal.writeStanding('ca', later, 1, never)).toBe(true);
        expect(await journal.standing('ca', never)).toEqual({ standing: later, version: 2 });
      });

      it('is written by one of those who read the same', async () => {
        expect(await journal.writeStanding('ca', standing, 1, never)).toBe(false);
        expect(await journal.standing('ca', never)).toBeUndefined();
        const first = [later, standing, later].map((each) =>
          journal.writeStanding('ca', each, 0, never),
        );
        expect((await Promise.all(first)).filter(Boolean)).toHaveLength(1);
        const kept = await journal.standing('ca', never);
        expect(kept?.version).toBe(1);
        expect(await journal.writeStanding('ca', later, 0, never)).toBe(false);
        expect(await journal.writeStanding('ca', later, 2, never)).toBe(false);
        expect(await journal.standing('ca', never)).toEqual(kept);
      });
    });

    describe('signals and the end', () => {
      it('does nothing for a signal that is already aborted', async () => {
        const aborted = AbortSignal.abort(new Error('stop'));
        await expect(journal.open(notified('a'), aborted)).rejects.toThrow('stop');
        await open('b');
        const entry = await takeOne();
        const change = { record: recordWith('late'), room: 'issue' } as const;
        await expect(journal.takeDue('one', 1, leaseMs, aborted)).rejects.toThrow('stop');
        await expect(journal.save(entry, change, aborted)).rejects.toThrow('stop');
        await expect(journal.nextDueAt(aborted)).rejects.toThrow('stop');
        expect(await journal.summary(never)).toMatchObject({ open: { claim: 1, issue: 0 } });
      });

      it('writes what was asked for before a signal was aborted', async () => {
        const stop = new AbortController();
        const opened = journal.open(notified('a'), stop.signal);
        stop.abort();
        await opened.catch(() => undefined);
        expect(await journal.open(notified('a'), never)).toBe('known');
      });

      it('answers with a JournalError after it was closed, and closes twice without harm', async () => {
        await journal[Symbol.asyncDispose]();
        await journal[Symbol.asyncDispose]();
        const refused = { name: 'JournalError' };
        await expect(journal.open(notified('a'), never)).rejects.toMatchObject(refused);
        await expect(journal.summary(never)).rejects.toMatchObject(refused);
        await expect(take()).rejects.toMatchObject(refused);
      });
    });

    // The memory journal is the model itself and has nothing to be compared with.
    if (options.propertyRuns > 0) {
      it('answers any sequence of operations as the model does', async () => {
        const property = fc.asyncProperty(operations, async (sequence) => {
          await using subject = await start();
          const model = new MemoryJournal(subject.clock);
          const held: [LeasedEntry[], LeasedEntry[]] = [[], []];
          for (const operation of sequence) {
            if (operation.kind === 'advance') {
              await subject.advance(operation.byMs);
              continue;
            }
            const now = subject.clock.now();
            const expected: Answer = await apply(operation, model, held[0], now);
            const found: Answer = await apply(operation, subject.journal, held[1], now);
            expect(found, JSON.stringify(operation)).toEqual(expected);
          }
        });
        // On a failure fast-check prints the seed and the shortest sequence that still fails.
        await fc.assert(property, { numRuns: options.propertyRuns });
      });
    }
  });
}
