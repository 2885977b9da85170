import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Observer } from '../../simulator/world/invariants.ts';
import { strokes } from '../../simulator/world/script.ts';
import { World } from '../../simulator/world/world.ts';
import { openSqliteJournal } from '../../src/journal/sqlite-journal.ts';

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

describe('a shutdown in mid-process', () => {
  it('lets visits end within the drain time, and a restart completes the rest', async () => {
    const world = new World();
    const observer = new Observer(world);
    const processes = Array.from({ length: 100 }, () => world.add({ signAfterMs: 5_000 }));
    const first = world.start();
    await world.until(() => processes.filter(({ claimedBy }) => claimedBy).length > 40);
    first.stop.abort();
    const stoppedAt = world.now;
    await world.until(() => first.ended !== undefined);
    expect(first.ended).toEqual({});
    expect(world.now - stoppedAt).toBeLessThan(20_000);
    world.start();
    await world.untilClosed();
    expect(observer.finish()).toEqual([]);
    expect(processes.every(({ accepted }) => accepted)).toBe(true);
  });

  it('aborts what hangs once the drain time is over, and gives it back at once', async () => {
    const world = new World({
      drainMs: 6_000,
      fates: strokes({ call: 'ca.issue', trouble: 'hangs' }),
    });
    const observer = new Observer(world);
    const process = world.add();
    const first = world.start();
    await world.until(() => world.ca().requests.length === 1);
    first.stop.abort();
    const stoppedAt = world.now;
    await world.until(() => first.ended !== undefined);
    expect(first.ended).toEqual({});
    expect(world.now - stoppedAt).toBeLessThan(6_500);
    // No need to wait for a lease to run out.
    expect(world.journal.nextWorkAt()).toBeLessThanOrEqual(world.now);
    world.start();
    await world.untilClosed();
    expect(observer.finish()).toEqual([]);
    expect(world.outcome(process)).toBe('delivered');
    expect(world.ca().ledger).toHaveLength(1);
  });

  it('that strikes while a certificate is being written down does not forget it', async () => {
    const world = new World({
      drainMs: 1_000,
      cas: { default_ca_config: { idempotent: false } },
      // The third save holds the certificate; the journal is slow.
      fates: strokes({ call: 'journal.save', turn: 4, waitMs: 8_000 }),
    });
    const observer = new Observer(world);
    const process = world.add();
    const first = world.start();
    await world.until(() => world.ca().ledger.length === 1);
    await world.pass(100);
    expect(world.journal.kept.get(process.id)?.record.issued).toBeUndefined();
    first.stop.abort();
    await world.until(() => first.ended !== undefined);
    world.start();
    await world.untilClosed();
    expect(observer.finish()).toEqual([]);
    expect(world.outcome(process)).toBe('delivered');
    expect(world.ca().ledger).toHaveLength(1);
  });
});

describe('a journal that fails', () => {
  it('when a message is to be written: it is released, delivered again, and written', async () => {
    const world = new World({ fates: strokes({ call: 'journal.open', trouble: 'fails' }) });
    const observer = new Observer(world);
    const process = world.add();
    world.start();
    await world.untilClosed();
    expect(observer.finish()).toEqual([]);
    expect(world.inbox.released).toBe(1);
    expect(world.inbox.acknowledged).toBe(1);
    expect(world.outcome(process)).toBe('delivered');
  });

  for (const trouble of ['fails', 'fails-after', 'late-request'] as const) {
    it(`(${trouble}) at any write of a visit costs time and nothing else`, async () => {
      for (const idempotent of [true, false]) {
        for (let turn = 1; turn <= 7; turn += 1) {
          for (const method of ['save', 'rest', 'close']) {
            const world = new World({
              fates: strokes({ call: `journal.${method}`, turn, trouble, requestMs: 7_000 }),
              cas: { default_ca_config: { idempotent } },
            });
            const observer = new Observer(world);
            const process = world.add();
            world.start();
            world.start();
            await world.untilClosed();
            const breaches = observer.finish();
            const where = { method, turn, idempotent };
            expect({ ...where, breaches }).toEqual({ ...where, breaches: [] });
            expect(process.accepted).toBe(true);
            expect(world.ca().ledger, JSON.stringify(where)).toHaveLength(1);
          }
        }
      }
    });
  }

  it('and whose heartbeat failed never undoes what was written after it', async () => {
    // The CA takes longer than a third of the lease; the heartbeat's write comes too late to be an answer.
    const world = new World({
      fates: strokes(
        { call: 'ca.issue', answerMs: 12_000 },
        { call: 'journal.save', turn: 4, trouble: 'late-request', requestMs: 8_000 },
      ),
      cas: { default_ca_config: { idempotent: false } },
    });
    const observer = new Observer(world);
    const process = world.add();
    world.start();
    await world.untilClosed();
    await world.pass(60_000);
    expect(observer.finish()).toEqual([]);
    expect(process.accepted).toBe(true);
    expect(world.ca().ledger).toHaveLength(1);
  });
});

describe('a journal in a file', () => {
  it('carries every process over a crash at any moment', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'certprov-world-'));
    directories.push(directory);
    const path = join(directory, 'journal.db');
    const clock = new World().scheduler.clockOf();
    const before = await openSqliteJournal({ path, clock });
    const signal = new AbortController().signal;
    expect(await before.open({ customer: 'C01', processId: 'p1' }, signal)).toBe('opened');
    const [leased] = await before.takeDue('one', 1, 30_000, signal);
    if (leased === undefined) throw new Error('It must be due.');
    const claim = { callerInstanceId: 'one', intendedAt: 1 };
    await before.save(leased, { record: { claim }, room: 'claim' }, signal);
    await before[Symbol.asyncDispose]();
    const later = { ...clock, now: () => clock.now() + 31_000 };
    await using after = await openSqliteJournal({ path, clock: later });
    const [taken] = await after.takeDue('two', 1, 30_000, signal);
    expect(taken).toMatchObject({ processId: 'p1', record: { claim } });
    expect(taken?.fence).toBeGreaterThan(leased.fence);
  });
});
