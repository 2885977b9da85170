import { EventEmitter } from 'node:events';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EventMap } from '../../src/events/events.ts';
import { onBehalfOf, StrayErrors } from '../../src/events/stray-errors.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { printedToLog } from '../../src/telemetry/printed.ts';

/** Vitest listens, too, and would fail the run. */
const others = ['unhandledRejection', 'uncaughtException'] as const;
const kept = new Map(others.map((name) => [name, process.listeners(name as 'exit')]));

describe('errors that nobody waits for', () => {
  const clock = { at: 0, now: () => clock.at };
  let told: EventMap['bug'][];
  let stray: StrayErrors;

  beforeEach(() => {
    for (const name of others) process.removeAllListeners(name);
    told = [];
    stray = new StrayErrors(clock, (bug) => told.push(bug));
  });
  afterEach(() => {
    stray[Symbol.dispose]();
    for (const name of others) {
      expect(process.listenerCount(name)).toBe(0);
      for (const listener of kept.get(name) ?? []) process.on(name, listener);
    }
  });

  async function settle(): Promise<void> {
    for (let turns = 0; turns < 5; turns += 1) await new Promise(setImmediate);
  }

  it.each([
    ['a rejection that was forgotten', () => void Promise.reject(new Error('stray'))],
    ['a callback that throws', () => void setImmediate(() => fail())],
    [
      'an error event without a listener',
      () => void setImmediate(() => new EventEmitter().emit('error', new Error('stray'))),
    ],
    [
      'a rejection in a callback',
      () => void setImmediate(() => void Promise.reject(new Error('stray'))),
    ],
  ])('tells %s, and on whose behalf it happened', async (_what, leave) => {
    onBehalfOf('wifi', leave);
    await settle();
    expect(told).toEqual([{ error: new Error('stray'), stray: true, authority: 'wifi' }]);
  });

  it('makes lines of the log of what a plug-in prints, without secrets', () => {
    const lines: string[] = [];
    const log = createLog('info', { write: (line) => lines.push(line) });
    const odd = {
      [inspect.custom]() {
        throw new Error('no');
      },
    };
    const { log: before } = console;
    {
      using _printed = printedToLog(log);
      onBehalfOf('wifi', () => console.error('password=%s', 'TOPSECRET', { token: 'TOPSECRET' }));
      console.log(odd);
    }
    expect(console.log).toBe(before);
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      {
        level: 'warn',
        event: 'printed',
        authority: 'wifi',
        msg: expect.stringMatching(/^password=/),
      },
      { event: 'printed', msg: '{}' },
    ]);
    expect(lines.join('')).not.toContain('TOPSECRET');
  });

  it('tells that an error cannot be told', () => {
    stray.tellTo((bug) => {
      if (bug.error === 'odd') throw new Error('the log');
      told.push(bug);
    });
    stray.heard('odd');
    expect(told).toMatchObject([{ error: { message: expect.stringContaining('cannot be told') } }]);
  });

  it('tells a few of each authority in a minute, and counts the others', async () => {
    for (let times = 0; times < 20; times += 1) {
      onBehalfOf('wifi', () => stray.heard(new Error('again')));
    }
    onBehalfOf('vpn', () => stray.heard(new Error('another')));
    expect(told.map(({ authority }) => authority)).toEqual([...Array(5).fill('wifi'), 'vpn']);
    clock.at += 60_000;
    onBehalfOf('wifi', () => stray.heard(new Error('again')));
    expect(told.at(-1)).toMatchObject({ authority: 'wifi', untold: 15 });
  });
});

function fail(): never {
  throw new Error('stray');
}
