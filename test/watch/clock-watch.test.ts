import { describe, expect, it } from 'vitest';
import { Events } from '../../src/events/events.ts';
import { ClockWatch, type Question } from '../../src/watch/clock-watch.ts';
import { ScheduledClock } from '../support/scheduled-clock.ts';

const second = 1_000;
const hour = 3_600_000;
const silent: Question = () => Promise.reject(new Error('nobody listens'));

/** A machine whose clock shows `offMs` more than it is, and whose both clocks can stand still. */
class Machine {
  readonly truth = new ScheduledClock();
  readonly events = new Events();
  readonly told: (string | undefined)[] = [];
  readonly watch: ClockWatch;
  readonly #stop = new AbortController();
  offMs: number;
  frozenMs = 0;

  constructor(offMs = 0) {
    this.offMs = offMs;
    this.events.on('clock', ({ problem }) => this.told.push(problem));
    const own = () => this.truth.now() - this.frozenMs;
    this.watch = new ClockWatch({
      clock: { now: () => own() + this.offMs, sleep: (ms, signal) => this.truth.sleep(ms, signal) },
      monotonic: own,
      events: this.events,
    });
  }

  /** Google's Date, which has whole seconds, or the database's time, `aheadMs` ahead. */
  says(aheadMs = 0, resolutionMs = 1_000): Question {
    return async (testify) => {
      const now = this.truth.now() + aheadMs;
      testify(now - (now % resolutionMs), resolutionMs);
    };
  }

  async run(google: Question, journal: Question = () => Promise.resolve()): Promise<void> {
    void this.watch.run({ google, journal }, this.#stop.signal);
    await this.truth.advance(10);
  }

  stop(): void {
    this.#stop.abort();
  }
}

describe('a clock', () => {
  it.each([
    ['right', 0, undefined],
    ['four seconds ahead', 4 * second, undefined],
    ['seven seconds ahead', 7 * second, /ahead of Google’s/],
    ['an hour behind', -hour, /3600 seconds behind Google’s/],
    ['a year ahead', 8_760 * hour, /ahead of Google’s/],
  ])('that is %s at the start', async (_what, offMs, problem) => {
    const machine = new Machine(offMs);
    expect(machine.watch.problem).toMatch(/nobody has confirmed it/);
    await machine.run(machine.says());
    if (problem === undefined) expect(machine.watch.problem).toBeUndefined();
    else expect(machine.watch.problem).toMatch(problem);
    machine.offMs = 0;
    await machine.truth.advance(3 * second);
    expect(machine.watch.problem).toBeUndefined();
    expect(machine.watch.now()).toBe(machine.truth.now());
    expect(machine.told.at(-1)).toBeUndefined();
    machine.stop();
  });

  it.each([
    ['confirmed by', 0, undefined],
    ['not accused by', -hour, /nobody has confirmed it yet, and Google cannot be asked: a portal/],
  ])('is %s the Date of somebody on the way', async (_what, aheadMs, problem) => {
    const machine = new Machine();
    await machine.run(async (testify) => {
      testify(machine.truth.now() + aheadMs, 1_000, true);
      throw new Error('a portal');
    });
    if (problem === undefined) expect(machine.watch.problem).toBeUndefined();
    else expect(machine.watch.problem).toMatch(problem);
    expect(machine.watch.isContradicted).toBe(false);
    machine.stop();
  });

  it('goes on as before while it is set wrong, and knows it at once', async () => {
    const machine = new Machine();
    await machine.run(machine.says());
    const { epoch } = machine.watch;
    machine.offMs = 25 * hour;
    expect(machine.watch.now()).toBe(machine.truth.now());
    expect(machine.watch.problem).toMatch(/set forward by 90000 seconds/);
    expect(machine.watch.epoch).not.toBe(epoch);
    await machine.truth.advance(30 * second);
    expect(machine.watch.problem).toMatch(/ahead of Google’s/);
    expect(machine.watch.now()).toBe(machine.truth.now());
    let trusted = false;
    void machine.watch.untilTrusted(new AbortController().signal).then(() => {
      trusted = true;
    });
    machine.offMs = 0;
    await machine.truth.advance(3 * second);
    expect([machine.watch.problem, trusted]).toEqual([undefined, true]);
    machine.stop();
  });

  it('that was set and set back is right by its own word; one that was set right needs another’s', async () => {
    const machine = new Machine();
    await machine.run(machine.says());
    machine.stop();
    machine.offMs = -hour;
    expect(machine.watch.problem).toMatch(/set back/);
    machine.offMs = second;
    expect(machine.watch.problem).toBeUndefined();
  });

  it('that stood still knows it from Google, and a suspended machine’s wakes in doubt', async () => {
    const machine = new Machine();
    await machine.run(machine.says());
    machine.stop();
    machine.frozenMs = 40 * second;
    expect(machine.watch.problem).toBeUndefined();
    const testify = machine.watch.asking('google');
    testify(machine.truth.now(), second);
    expect(machine.watch.problem).toMatch(/behind Google’s/);
    // NTP mends the wall clock alone.
    machine.offMs = 40 * second;
    expect(machine.watch.problem).toMatch(/set forward/);
    machine.watch.asking('google')(machine.truth.now(), second);
    expect(machine.watch.problem).toBeUndefined();
  });

  it('is not judged by an answer to what was asked before it was set', async () => {
    const machine = new Machine();
    await machine.run(machine.says());
    machine.stop();
    const late = machine.watch.asking('google');
    machine.offMs = hour;
    late(machine.truth.now() + hour, second);
    expect(machine.watch.problem).toMatch(/set forward/);
    // An answer's way is not held against the clock.
    const slow = machine.watch.asking('google');
    const said = machine.truth.now() + hour;
    await machine.truth.advance(20 * second);
    slow(said, second);
    expect(machine.watch.problem).toBeUndefined();
  });

  it('is compared with the database’s too; where they differ Google’s counts', async () => {
    const alone = new Machine(hour);
    await alone.run(silent, alone.says(0, 1));
    expect(alone.watch.problem).toMatch(/ahead of the database’s/);
    expect(alone.watch.isContradicted).toBe(true);
    const both = new Machine();
    await both.run(both.says(), both.says(hour, 1));
    expect(both.watch.problem).toBeUndefined();
    const { epoch } = both.watch;
    both.stop();
    both.watch.asking('journal')(both.truth.now() - hour, 1);
    expect(both.watch.epoch).not.toBe(epoch);
    alone.stop();
  });

  it('of a machine that has its database on it is not confirmed by that while Google’s certificate contradicts', async () => {
    const expired = Object.assign(new Error('certificate has expired'), {
      code: 'CERT_HAS_EXPIRED',
    });
    const machine = new Machine(8_760 * hour);
    const google: Question = async (testify, signal) => {
      await machine.truth.sleep(200, signal);
      if (machine.offMs !== 0) throw new Error('no answer', { cause: expired });
      await machine.says()(testify, signal);
    };
    const own: Question = async (testify) => testify(machine.truth.now() + machine.offMs, 1);
    await machine.run(google, own);
    for (let times = 0; times < 10; times += 1) {
      await machine.truth.advance(second);
      expect(machine.watch.problem).toBeDefined();
    }
    expect(machine.watch.problem).toMatch(/Google’s certificate is not valid: no answer/);
    expect([machine.watch.isContradicted, machine.told.includes(undefined)]).toEqual([true, false]);
    machine.offMs = 0;
    await machine.truth.advance(4 * second);
    expect(machine.watch.problem).toBeUndefined();
    machine.stop();
  });

  it('that nobody can be asked about stays in doubt, a Google without Date is taken as it is', async () => {
    const machine = new Machine();
    await machine.run(silent);
    expect(machine.watch.problem).toMatch(/confirmed it yet, and Google cannot be asked: nobody/);
    expect(machine.watch.isContradicted).toBe(false);
    const undated = new Machine();
    await undated.run(() => Promise.resolve());
    expect(undated.watch.problem).toBeUndefined();
    // Set later, too: otherwise a machine that was suspended for the night would wait for ever.
    undated.offMs = 8 * hour;
    expect(undated.watch.problem).toMatch(/set forward/);
    await undated.truth.advance(4 * second);
    expect([undated.watch.problem, undated.watch.now()]).toEqual([
      undefined,
      undated.truth.now() + 8 * hour,
    ]);
    // With a database there is somebody to be compared with.
    const compared = new Machine();
    await compared.run(() => Promise.resolve(), compared.says(0, 1));
    compared.offMs = hour;
    await compared.truth.advance(10 * second);
    expect(compared.watch.problem).toMatch(/ahead of the database’s/);
    expect(compared.watch.now()).toBe(compared.truth.now());
    compared.stop();
    const expired = Object.assign(new Error('certificate has expired'), {
      code: 'CERT_HAS_EXPIRED',
    });
    const early = new Machine();
    await early.run(() => Promise.reject(new Error('no answer', { cause: expired })));
    expect(early.watch.isContradicted).toBe(true);
    for (const each of [machine, undated, early]) each.stop();
  });
});
