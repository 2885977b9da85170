import { describe, expect, it } from 'vitest';
import { LeaseLostError } from '../../src/journal/journal.ts';
import { askForSignature } from '../../src/possession/prove-possession.ts';
import { tag } from '../../src/x509/der.ts';
import { encodeText } from '../../src/x509/encode-der.ts';
import { NeverLeft } from '../support/chosen-answers.ts';
import {
  asking,
  claimed,
  google,
  googleSays,
  key,
  lostAnswer,
  toBeSigned,
} from '../support/sample-process.ts';
import { type VisitOptions, Visits } from '../support/visit.ts';

const name = 'operations/1';
const running = { kind: 'running', name } as const;
const signature = key.sign(toBeSigned);
const rejected = googleSays('google-rejected');
/** Google's record, with what we asked the device to sign. */
const signing = google({ signData: toBeSigned });

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');

async function asksFor(options: VisitOptions) {
  const visits = await Visits.begin(options);
  const step = await visits.step(askForSignature);
  expect(visits.unasked).toEqual([]);
  return { visits, step, happened: visits.happened };
}

describe('a device', () => {
  it('is asked when the CA has said what it wants and the bytes are written, once', async () => {
    const { visits, step, happened } = await asksFor({
      record: claimed,
      google: { signData: [running] },
      ca: { prepare: [{ state: 'challenge 1', expiresAt: 9e12 }] },
    });
    expect(happened).toEqual(['CA: prepare', 'write: signing', 'Google: signData']);
    const [intention] = visits.written;
    expect(intention?.signing).toMatchObject({
      toBeSigned: base64(toBeSigned),
      prepared: 'challenge 1',
      preparedUntil: 9e12,
    });
    expect(intention?.signing).not.toHaveProperty('calledAt');
    const [[bytes, algorithm] = []] = visits.asked('Google: signData');
    expect(bytes).toEqual(Buffer.from(toBeSigned));
    expect(algorithm).toBe('SIGNATURE_ALGORITHM_ECDSA_SHA256');
    expect(step).toMatchObject({
      kind: 'wait',
      forMs: 750,
      record: { signing: { calledAt: visits.clock.now(), operation: name } },
    });
  });

  it('signs what the CA wants in the request, and the CA is held to the key usages it chose', async () => {
    const secret = encodeText(tag.printableString, 'secret');
    const challenge = { type: '1.2.840.113549.1.9.7', values: [secret] };
    const { visits, step } = await asksFor({
      record: claimed,
      google: { signData: [running] },
      ca: { prepare: [{ attributes: [challenge], keyUsages: ['keyEncipherment'] }] },
    });
    const [[bytes] = []] = visits.asked('Google: signData');
    expect(Buffer.from(bytes as Uint8Array).includes('secret')).toBe(true);
    expect(step.record.request?.wanted.keyUsages).toEqual(['keyEncipherment']);
  });

  it('is not asked when the CA cannot prepare', async () => {
    const visits = await Visits.begin({ record: claimed, ca: { prepare: [new Error('down')] } });
    await expect(visits.step(askForSignature)).rejects.toThrow('down');
    expect(visits.happened).toEqual(['CA: prepare']);
  });

  it('is not asked by a visit that was overtaken, nor by one that stood still in its write', async () => {
    const overtaken = await Visits.begin({ record: claimed, google: { signData: [running] } });
    await overtaken.overtake();
    await expect(overtaken.step(askForSignature)).rejects.toThrow(LeaseLostError);
    expect(overtaken.happened).toEqual([]);
    const late = await Visits.begin({ record: claimed, google: { signData: [running] } });
    late.journal.onWrite = () => late.clock.advance(60_000);
    await expect(late.step(askForSignature)).rejects.toThrow(LeaseLostError);
    expect(late.happened).toEqual(['write: signing']);
  });

  it.each([
    ['the call never left', new NeverLeft(googleSays('google-unavailable')), ['write: signing']],
    [
      'Google surely did nothing',
      googleSays('google-throttled'),
      ['write: signing', 'Google: signData', 'write: signing'],
    ],
  ])('is asked again without a pause of its own where %s', async (_what, trouble, expected) => {
    const visits = await Visits.begin({
      record: claimed,
      google: { get: [google()], signData: [trouble, running] },
    });
    await expect(visits.step(askForSignature)).rejects.toThrow(/Google says/);
    expect(visits.happened).toEqual(expected);
    expect(visits.written.at(-1)?.signing?.pauseOwedMs).toBe(0);
    await visits.rest(2_000);
    const before = visits.happened.length;
    expect(await visits.step(askForSignature)).toMatchObject({ kind: 'wait', forMs: 750 });
    expect(visits.happened.slice(before).at(-1)).toBe('Google: signData');
  });
});

describe('whether the device was asked is not known', () => {
  const six = { kind: 'wait', forMs: 6_000 };

  it('after a crash: Google’s record is looked at, for six seconds, and again, and only then it is asked', async () => {
    const { visits, step } = await asksFor({
      record: asking,
      google: { get: [google()] },
    });
    expect(step).toMatchObject(six);
    expect(visits.happened).toEqual(['Google: get']);
    const after = await asksFor({
      record: step.record,
      google: { get: [google()], signData: [running] },
    });
    expect(after.happened).toEqual(['Google: get', 'write: signing', 'Google: signData']);
    // A crash from here on is a crash in an unclear call once more.
    expect(after.visits.written[0]?.signing).not.toHaveProperty('pauseOwedMs');
    expect(after.visits.asked('Google: signData')[0]?.[0]).toEqual(Buffer.from(toBeSigned));
  });

  it('after an answer that was lost: what is left of the six seconds, three at least', async () => {
    const visits: Visits = await Visits.begin({
      record: claimed,
      google: {
        signData: [
          () => {
            visits.clock.advance(1_000);
            throw lostAnswer();
          },
        ],
      },
    });
    await expect(visits.step(askForSignature)).rejects.toMatchObject({ unclear: true });
    expect(visits.happened).toEqual(['write: signing', 'Google: signData', 'write: signing']);
    expect(visits.visit.record.signing).toMatchObject({ pauseOwedMs: 5_000, unclearCalls: 1 });
    const busy = await Visits.begin({
      record: claimed,
      google: { signData: [googleSays('google-unavailable', { status: 503, unclear: true })] },
    });
    await expect(busy.step(askForSignature)).rejects.toThrow();
    expect(busy.visit.record.signing).toMatchObject({ pauseOwedMs: 3_000 });
  });

  it('again and again: the pause grows', async () => {
    const owed: (number | undefined)[] = [];
    for (const unclearCalls of [2, 5, 20]) {
      const record = { ...asking, signing: { ...asking.signing, pauseOwedMs: 0, unclearCalls } };
      const visits = await Visits.begin({
        record: record as typeof asking,
        google: { get: [google()], signData: [lostAnswer()] },
      });
      await expect(visits.step(askForSignature)).rejects.toThrow();
      owed.push(visits.visit.record.signing?.pauseOwedMs);
      expect(visits.visit.record.signing?.unclearCalls).toBe(unclearCalls + 1);
    }
    expect(owed).toEqual([6_000, 48_000, 225_000]);
  });

  it.each([
    ['has our bytes: the signature is waited for', signing, { kind: 'wait', forMs: 750 }],
    [
      'has the signature: it is verified',
      google({ signData: toBeSigned, signature }),
      { kind: 'onward', record: { csr: expect.any(String) } },
    ],
    [
      'has other bytes: they are another adapter’s',
      google({ signData: Uint8Array.of(1) }),
      { kind: 'end', outcome: 'yielded' },
    ],
    ['has a failure', google({ failureMessage: 'no' }), { kind: 'end', outcome: 'gone' }],
  ])('and Google’s record %s', async (_what, found, expected) => {
    const { step, happened } = await asksFor({ record: asking, google: { get: [found] } });
    expect(step).toMatchObject(expected);
    expect(happened).toEqual(['Google: get']);
  });
});

describe('signData that Google refuses', () => {
  it('was not carried out as far as its record shows: it is heard twice', async () => {
    const { step, happened } = await asksFor({
      record: claimed,
      google: { get: [google()], signData: [rejected] },
    });
    expect(happened).toEqual(['write: signing', 'Google: signData', 'Google: get']);
    const verdict = { kind: 'signing-refused', heardAt: expect.any(Number) };
    expect(step).toMatchObject({ kind: 'wait', forMs: 15_000, verdict });
    const again = await Visits.begin({
      record: {
        ...step.record,
        verdict: { kind: 'signing-refused', heardAt: Date.now() - 15_000 },
      },
      google: { get: [google(), google()], signData: [rejected] },
    });
    await expect(again.step(askForSignature)).rejects.toMatchObject({ code: 'signing-refused' });
    expect(again.happened).toEqual([
      ...['Google: get', 'write: signing', 'Google: signData', 'Google: get'],
    ]);
  });

  it('was carried out where its record has our bytes', async () => {
    const { step } = await asksFor({
      record: claimed,
      google: { get: [signing], signData: [rejected] },
    });
    expect(step).toMatchObject({ kind: 'wait', forMs: 750 });
    expect(step.record.signing).toHaveProperty('calledAt');
  });
});
