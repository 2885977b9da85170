import { describe, expect, it } from 'vitest';
import { DeviceKey } from '../../conformance/device-key.ts';
import { collectSignature } from '../../src/possession/prove-possession.ts';
import { readCertificationRequest } from '../../src/request/read-certification-request.ts';
import {
  asked,
  asking,
  google,
  googleSays,
  key,
  lostAnswer,
  toBeSigned,
} from '../support/sample-process.ts';
import { Visits } from '../support/visit.ts';

const name = 'operations/1';
const running = { kind: 'running', name } as const;
const signature = key.sign(toBeSigned);
/** Google's record, with what we asked the device to sign. */
const signing = google({ signData: toBeSigned });
const hour = 3_600_000;

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');

describe('a signature', () => {
  it('completes the request when it is the device’s; nothing else is asked or written before', async () => {
    const visits = await Visits.begin({
      record: asked,
      google: { operation: [{ kind: 'done', name, signature }] },
    });
    const step = await visits.step(collectSignature);
    expect(visits.happened).toEqual(['Google: operation']);
    expect(visits.asked('Google: operation')).toEqual([[name]]);
    const csr = Buffer.from(step.record.csr ?? '', 'base64');
    expect(base64(readCertificationRequest(csr).subjectPublicKeyInfo)).toBe(
      base64(key.subjectPublicKeyInfo),
    );
    expect(step.record.signing).not.toHaveProperty('toBeSigned');
  });

  it.each([
    ['another key', new DeviceKey('ec').sign(toBeSigned)],
    ['the key over other bytes', key.sign(Uint8Array.of(1))],
    ['nobody', Uint8Array.of(1)],
  ])('by %s is refused', async (_who, wrong) => {
    const visits = await Visits.begin({
      record: asked,
      google: { operation: [{ kind: 'done', name, signature: wrong }] },
    });
    await expect(visits.step(collectSignature)).rejects.toMatchObject({
      code: 'signature-invalid',
    });
    expect(visits.happened).toEqual(['Google: operation']);
  });

  it('is looked for ever more rarely, and the device is told of once an hour', async () => {
    const visits = await Visits.begin({
      record: { ...asked, signing: { ...asked.signing, calledAt: Date.now() } } as typeof asked,
      google: { operation: Array.from({ length: 60 }, () => running) },
    });
    const told: number[] = [];
    visits.events.on('unsigned', ({ hours }) => told.push(hours));
    const pauses: number[] = [];
    const begun = visits.clock.now();
    while (visits.clock.now() - begun < 2.5 * hour) {
      const step = await visits.step(collectSignature);
      if (step.kind !== 'wait') throw new Error('It must wait.');
      pauses.push(step.forMs);
      await visits.rest(step.forMs);
    }
    expect(pauses.slice(0, 4)).toEqual([1_500, 3_000, 6_000, 12_000]);
    expect(pauses.at(-1)).toBe(225_000);
    expect(told).toEqual([1, 2]);
  });

  it('that does not come within limits.signingHours is not waited for any longer', async () => {
    const visits = await Visits.begin({
      record: { ...asked, age: { ms: hour - 1_000, at: Date.now(), restMs: 0 } },
      google: { operation: [running, running] },
      context: { signingDeadlineMs: hour },
    });
    const step = await visits.step(collectSignature);
    expect(step.kind === 'wait' && step.forMs).toBeLessThanOrEqual(1_000);
    await visits.rest(1_000);
    await expect(visits.step(collectSignature)).rejects.toMatchObject({ code: 'signing-timeout' });
  });
});

describe('an operation', () => {
  const { operation: _unknown, ...nameless } = asked.signing ?? asking.signing ?? { polls: 0 };

  it.each([
    ['has gone', asked, [googleSays('google-not-found')], ['Google: operation', 'Google: get']],
    ['is refused', asked, [googleSays('google-rejected')], ['Google: operation', 'Google: get']],
    ['has no name, for the answer was lost', { ...asked, signing: nameless }, [], ['Google: get']],
  ])('that %s: the process itself is looked at', async (_what, record, operation, expected) => {
    const signed = google({ signData: toBeSigned, signature });
    for (const [found, kind] of [
      [signing, 'wait'],
      [signed, 'onward'],
      [google({ failureMessage: 'no' }), 'end'],
    ] as const) {
      const visits = await Visits.begin({
        record: record as typeof asked,
        google: { operation, get: [found] },
      });
      expect((await visits.step(collectSignature)).kind).toBe(kind);
      expect(visits.happened).toEqual(expected);
    }
  });

  it('that cannot be reached decides nothing', async () => {
    const visits = await Visits.begin({ record: asked, google: { operation: [lostAnswer()] } });
    await expect(visits.step(collectSignature)).rejects.toMatchObject({
      code: 'google-unavailable',
    });
    expect(visits.happened).toEqual(['Google: operation']);
  });

  const failed = { kind: 'failed', name, code: 3, message: 'no such key' } as const;

  it('that failed ends the process where Google says so of the process, too', async () => {
    const visits = await Visits.begin({
      record: asked,
      google: { operation: [failed], get: [google({ failureMessage: 'no' })] },
    });
    expect(await visits.step(collectSignature)).toMatchObject({
      kind: 'end',
      outcome: 'gone',
      code: 'signing-refused',
    });
  });

  it('that failed is heard twice where the process has not failed', async () => {
    const options = { google: { operation: [failed], get: [signing] } };
    const first = await Visits.begin({ record: asked, ...options });
    const verdict = { kind: 'signing-failed' };
    expect(await first.step(collectSignature)).toMatchObject({ forMs: 15_000, verdict });
    const heard = { kind: 'signing-failed', heardAt: Date.now() - 15_000 } as const;
    const second = await Visits.begin({ record: { ...asked, verdict: heard }, ...options });
    await expect(second.step(collectSignature)).rejects.toMatchObject({
      code: 'signing-refused',
      message: expect.stringContaining('no such key'),
    });
    expect(second.happened).toEqual(['Google: operation', 'Google: get']);
  });
});
