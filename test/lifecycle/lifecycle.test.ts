import { describe, expect, it } from 'vitest';
import { GoogleError, ProvisioningError } from '../../src/errors.ts';
import { aged, ageOf } from '../../src/journal/age.ts';
import { inventoryOf } from '../../src/journal/inventory.ts';
import type { ProcessRecord } from '../../src/journal/process-record.ts';
import { afterTrouble, roomOf, stateOf } from '../../src/lifecycle/lifecycle.ts';
import { enteredAt } from '../../src/lifecycle/tell-visit.ts';

const claim = { callerInstanceId: 'a', intendedAt: 1, claimedAt: 2 };
const signing = {
  toBeSigned: 'AA==',
  algorithm: 'SIGNATURE_ALGORITHM_ECDSA_SHA256',
  intendedAt: 3,
  polls: 0,
} as const;
const order = { number: 1, requestId: '0'.repeat(32), intendedAt: 10, intendedAge: 7, polls: 0 };
const issued = { certificate: 'AA==', chain: [], issuedAt: 20 };
const refusal = { code: 'name-empty', deviceText: 'x', message: 'x', decidedAt: 30 };
const ending = { outcome: 'gone', message: 'x', decidedAt: 40 } as const;

const hour = 3_600_000;

describe('stateOf', () => {
  const claimed: ProcessRecord = { claim };
  const called: ProcessRecord = { claim, signing: { ...signing, calledAt: 4 } };
  const proven: ProcessRecord = { ...called, csr: 'AA==' };
  const rows: [string, ProcessRecord, ReturnType<typeof stateOf>][] = [
    ['nothing is known', {}, 'claim'],
    ['a claim is only intended', { claim: { callerInstanceId: 'a', intendedAt: 1 } }, 'claim'],
    ['a refusal waits for its claim', { refusal }, 'claim'],
    ['claimed', claimed, 'ask-signature'],
    ['signData is only intended', { claim, signing }, 'ask-signature'],
    ['signData was called', called, 'await-signature'],
    ['the signature is verified', proven, 'order'],
    ['the order is only intended', { ...proven, order }, 'order'],
    ['the order is pending', { ...proven, order: { ...order, ticket: null } }, 'await-certificate'],
    ['a certificate is there', { ...proven, order, issued }, 'deliver'],
    ['refused after the claim', { claim, refusal }, 'refuse'],
    ['refused with a certificate at hand', { ...proven, order, issued, refusal }, 'refuse'],
    ['ended with a certificate at hand', { ...proven, order, issued, ending }, 'wind-up'],
  ];
  it.each(rows)('%s', (_name, record, state) => {
    expect(stateOf(record)).toBe(state);
  });

  it('is the same for a record that went through JSON', () => {
    for (const [, record, state] of rows) {
      expect(stateOf(JSON.parse(JSON.stringify(record)))).toBe(state);
    }
  });
});

describe('enteredAt', () => {
  it('gives the time a process came into its room', () => {
    const entry = { customer: 'c', processId: 'p', openedAt: 0, record: {} };
    expect(enteredAt(entry, {})).toBe(0);
    expect(enteredAt(entry, { claim })).toBe(2);
    expect(enteredAt(entry, { claim, csr: 'AA==', order })).toBe(10);
    expect(enteredAt(entry, { claim, csr: 'AA==', order, issued })).toBe(20);
  });
});

describe('afterTrouble', () => {
  const limits = { issuingDeadlineMs: 1_000, random: () => 1 };
  const ordering: ProcessRecord = { claim, csr: 'AA==', order };

  it('waits longer each time, up to five minutes, and keeps the first time', () => {
    const error = new ProvisioningError('ca-unavailable', 'down');
    let record: ProcessRecord = { claim };
    const pauses: number[] = [];
    for (let count = 0; count < 12; count += 1) {
      const step = afterTrouble(error, record, { ...limits, issuingDeadlineMs: 1e9 }, 50 + count);
      if (step.kind !== 'wait') throw new Error('It must wait.');
      pauses.push(step.forMs);
      record = step.record;
    }
    expect(pauses.slice(0, 4)).toEqual([2_000, 4_000, 8_000, 16_000]);
    expect(pauses.at(-1)).toBe(300_000);
    expect(record.trouble).toEqual({ code: 'ca-unavailable', count: 12, since: 50, sinceAge: 0 });
  });

  it('waits at least as long as the other side asked for', () => {
    const error = new ProvisioningError('ca-throttled', 'slow', { retryAfterMs: 90_000 });
    expect(afterTrouble(error, ordering, limits, 11)).toMatchObject({
      kind: 'wait',
      forMs: 90_000,
    });
  });

  it('refuses at once what nobody can mend by waiting', () => {
    const error = new ProvisioningError('ca-rejected', 'policy');
    const step = afterTrouble(error, ordering, limits, 11);
    expect(step.kind).toBe('onward');
    expect(step.record.refusal).toMatchObject({ code: 'ca-rejected', message: 'policy' });
    expect(step.record.refusal?.deviceText).not.toContain('policy');
    expect(roomOf(step.record)).toBe('deliver');
  });

  it('turns an authority’s trouble into a refusal at the issuing deadline, the code kept', () => {
    const error = new ProvisioningError('ca-unavailable', 'down');
    const watched = aged(ordering, 10, 0);
    expect(afterTrouble(error, watched, limits, 1_016).kind).toBe('wait');
    expect(afterTrouble(error, watched, limits, 1_017).record.refusal?.code).toBe('ca-unavailable');
  });

  it('counts no hours in which nobody watched: the service was down, or its clock was set', () => {
    const error = new ProvisioningError('ca-unavailable', 'down');
    const deadline = { ...limits, issuingDeadlineMs: 24 * hour };
    let record: ProcessRecord = aged(ordering, 0, 2_000);
    for (const now of [25 * hour, 25 * hour - 1, 1_000, 8_790 * hour, 30 * hour]) {
      expect(afterTrouble(error, record, deadline, now).kind).toBe('wait');
      record = aged(record, now, 2_000);
    }
    expect(ageOf(record, 30 * hour)).toBeLessThan(hour);
    // Watched every five minutes, it is over after a day.
    let watchedMs = 0;
    for (let now = 30 * hour; afterTrouble(error, record, deadline, now).kind === 'wait'; ) {
      record = aged(record, now, 300_000);
      now += 300_000;
      watchedMs += 300_000;
    }
    expect(watchedMs / hour).toBeCloseTo(24, -0.5);
  });

  it('never refuses for Google’s own trouble, however long it lasts', () => {
    const error = new GoogleError('google-unavailable', '503', { status: 503, unclear: true });
    expect(afterTrouble(error, { ...ordering, issued }, limits, 1e12).kind).toBe('wait');
  });

  it('closes what Google does not know any more when it is said a second time, after a pause', () => {
    const error = new GoogleError('google-not-found', '404', { status: 404, unclear: false });
    const first = afterTrouble(error, { claim }, limits, 5);
    expect(first).toMatchObject({ kind: 'wait', forMs: 15_000 });
    expect(first.record.verdict).toEqual({ kind: 'gone', heardAt: 5 });
    const outage = new GoogleError('google-unavailable', '502', { status: 502, unclear: false });
    const { record } = afterTrouble(outage, first.record, limits, 10_000);
    expect(afterTrouble(error, record, limits, 15_004)).toMatchObject({ kind: 'wait', forMs: 1 });
    expect(afterTrouble(error, record, limits, 15_005)).toMatchObject({
      kind: 'end',
      outcome: 'gone',
    });
    // The clock was set back: the pause begins anew, and is no longer than ever.
    expect(afterTrouble(error, record, limits, -1e10)).toMatchObject({
      kind: 'wait',
      forMs: 15_000,
      record: { verdict: { heardAt: -1e10 } },
    });
  });

  it('refuses nothing and closes nothing for a look that Google will not answer', () => {
    const error = new GoogleError('google-rejected', '400', { status: 400, unclear: false });
    expect(afterTrouble(error, { ...ordering, issued }, limits, 5).kind).toBe('wait');
    expect(afterTrouble(error, { claim, signing }, limits, 5).kind).toBe('wait');
  });

  it.each(['google-intercepted', 'google-unavailable', 'google-unauthenticated'] as const)(
    'waits out %s for ever, also before the claim',
    (code) => {
      const error = new GoogleError(code, 'x', { unclear: true });
      for (const record of [{}, { claim }, { claim, signing }, { ...ordering, issued }]) {
        const first = afterTrouble(error, record, limits, 100);
        expect(afterTrouble(error, first.record, limits, 1e12).kind).toBe('wait');
      }
    },
  );

  it('does not refuse what was never claimed: it gives up after two issuing deadlines', () => {
    const error = new GoogleError('google-forbidden', '403', { status: 403, unclear: false });
    const first = aged(afterTrouble(error, {}, limits, 100).record, 100, 0);
    expect(afterTrouble(error, first, limits, 2_099).kind).toBe('wait');
    expect(afterTrouble(error, first, limits, 2_100)).toMatchObject({
      kind: 'end',
      outcome: 'gone',
    });
  });

  it('looks again late after an error that nobody foresaw', () => {
    const step = afterTrouble(new TypeError('x is undefined'), ordering, limits, 5);
    expect(step).toMatchObject({ kind: 'wait', forMs: 60_000 });
  });
});

describe('inventoryOf', () => {
  it('keeps who got what, and drops what may be secret or only served the way', () => {
    const ended: ProcessRecord = {
      claim,
      signing: { ...signing, prepared: { challenge: 'secret' } },
      csr: 'AA==',
      order: { ...order, ticket: { key: 'secret' } },
      issued: { ...issued, chain: ['AA=='], serialNumber: '01' },
    };
    const kept = inventoryOf(ended);
    expect(JSON.stringify(kept)).not.toContain('secret');
    expect(kept).toEqual({ claim, order, issued: { ...issued, chain: [], serialNumber: '01' } });
  });
});
