import { describe, expect, it } from 'vitest';
import { claim } from '../../src/claim/claim.ts';
import { LeaseLostError } from '../../src/journal/journal.ts';
import type { ProcessRecord } from '../../src/journal/process-record.ts';
import { done, NeverLeft } from '../support/chosen-answers.ts';
import { google, googleSays, intended, lostAnswer, subject } from '../support/sample-process.ts';
import { type VisitOptions, Visits } from '../support/visit.ts';

/** One step of a visit, with all that happened in it. */
async function claiming(options: VisitOptions) {
  const visits = await Visits.begin(options);
  const step = await visits.step(claim);
  expect(visits.unasked).toEqual([]);
  return { visits, step, happened: visits.happened };
}

const rejected = googleSays('google-rejected');

describe('a new process', () => {
  it('is read, the intention is written, then it is claimed', async () => {
    const { visits, step, happened } = await claiming({
      google: { get: [google()], claim: [done] },
    });
    expect(happened).toEqual(['Google: get', 'write: request, claim', 'Google: claim']);
    const [intention] = visits.written;
    expect(intention?.claim).toEqual({
      callerInstanceId: 'instance-1',
      intendedAt: visits.clock.now(),
    });
    expect(visits.asked('Google: claim')).toEqual([['C1', 'instance-1']]);
    expect(step).toMatchObject({
      kind: 'onward',
      record: { claim: { claimedAt: visits.clock.now() }, request: { authority: 'ca', subject } },
    });
  });

  it.each([
    ['the device signs already', { signData: Uint8Array.of(1) }, 'yielded'],
    ['it failed', { failureMessage: '' }, 'gone'],
    ['it has a certificate', { issuedCertificate: 'PEM' }, 'gone'],
  ])('is left alone when %s', async (_what, changes, outcome) => {
    const { step, happened } = await claiming({ google: { get: [google(changes)] } });
    expect(step).toMatchObject({ kind: 'end', outcome });
    expect(happened).toEqual(['Google: get']);
  });

  it.each([
    ['without a public key', { subjectPublicKeyInfo: undefined }, 'process-incomplete'],
    ['without a subject', { subject: undefined }, 'process-incomplete'],
    ['whose name expands to nothing', { subject: { kind: 'device' } }, 'name-empty'],
    ['with a key that is none', { subjectPublicKeyInfo: Uint8Array.of(1) }, 'key-unsupported'],
  ])('%s is claimed to be refused: only who has claimed it may', async (_what, changes, code) => {
    const broken = { ...google(), ...changes } as ReturnType<typeof google>;
    const { step, happened } = await claiming({ google: { get: [broken], claim: [done] } });
    expect(happened.at(-1)).toBe('Google: claim');
    expect(happened[1]).toMatch(/^write: .*claim/);
    expect(step).toMatchObject({ kind: 'onward', record: { refusal: { code } } });
  });

  it('whose key the authority does not take is refused likewise', async () => {
    const { step } = await claiming({
      google: { get: [google()], claim: [done] },
      features: { keyTypes: ['rsa'] },
    });
    expect(step.record).toMatchObject({ refusal: { code: 'key-unsupported' }, claim: {} });
  });

  it('that was announced under a wrong customer is looked for, and claimed, under the other', async () => {
    const { visits, step, happened } = await claiming({
      customers: ['C-wrong', 'C2'],
      google: { get: [googleSays('google-not-found'), google()], claim: [done] },
    });
    expect(happened).toEqual([
      ...['Google: get', 'Google: get', 'write: customer, request, claim', 'Google: claim'],
    ]);
    expect(visits.asked('Google: get')).toEqual([['C-wrong'], ['C2']]);
    expect(visits.asked('Google: claim')).toEqual([['C2', 'instance-1']]);
    expect(step.record.customer).toBe('C2');
  });

  it.each([
    ['the only customer', ['C1'], [googleSays('google-not-found')], 'google-not-found'],
    [
      'every customer, of which one leaves hope',
      ['C1', 'C2'],
      [googleSays('google-forbidden'), googleSays('google-not-found')],
      'google-forbidden',
    ],
  ])('that is unknown under %s is nothing to claim', async (_what, customers, get, code) => {
    const visits = await Visits.begin({ customers, google: { get } });
    await expect(visits.step(claim)).rejects.toMatchObject({ code });
    expect(visits.happened).not.toContain('Google: claim');
  });
});

describe('a claim that does not leave', () => {
  it('was not intended either: nothing is written', async () => {
    const noToken = new NeverLeft(googleSays('google-unavailable'));
    const visits = await Visits.begin({ google: { get: [google()], claim: [noToken] } });
    await expect(visits.step(claim)).rejects.toMatchObject({ code: 'google-unavailable' });
    expect(visits.happened).toEqual(['Google: get']);
  });

  it('is that of a visit that was overtaken', async () => {
    const visits: Visits = await Visits.begin({
      google: {
        get: [() => visits.overtake().then(() => google())],
        claim: [done],
      },
    });
    await expect(visits.step(claim)).rejects.toThrow(LeaseLostError);
    expect(visits.happened).toEqual(['Google: get']);
  });
});

describe('a claim whose answer was lost', () => {
  it('is repeated with the id that was written, whoever repeats it', async () => {
    const visits = await Visits.begin({
      google: { get: [google(), google()], claim: [lostAnswer(), done] },
    });
    await expect(visits.step(claim)).rejects.toMatchObject({ unclear: true });
    visits.reconfigure({ instance: 'instance-2' });
    await visits.crash();
    const step = await visits.step(claim);
    expect(visits.asked('Google: claim').map(([, id]) => id)).toEqual(['instance-1', 'instance-1']);
    expect(visits.happened.slice(3)).toEqual([
      ...['Google: get', 'write: nothing new', 'Google: claim'],
    ]);
    expect(step.record.claim).toMatchObject({ callerInstanceId: 'instance-1' });
    expect(step.record.claim).toHaveProperty('claimedAt');
  });

  it('and is refused the second time may be an echo: the process is watched for 15 seconds', async () => {
    const visits = await Visits.begin({
      record: intended,
      google: { get: [google(), google(), google()], claim: [rejected] },
    });
    const doubt = await visits.step(claim);
    expect(visits.happened).toEqual([
      ...['Google: get', 'write: nothing new', 'Google: claim', 'Google: get'],
    ]);
    expect(doubt).toMatchObject({ kind: 'wait', forMs: 15_000 });
    await visits.rest(15_000);
    // Nobody has asked for a signature by then: it is ours.
    const settled = await visits.step(claim);
    expect(visits.happened.slice(4)).toEqual(['rest: claim', 'Google: get']);
    expect(settled).toMatchObject({
      kind: 'onward',
      record: { claim: { claimedAt: visits.clock.now() } },
    });
  });

  const rival = google({ signData: Uint8Array.of(1) });
  const doubted: ProcessRecord = {
    ...intended,
    claim: { callerInstanceId: 'instance-0', intendedAt: 1, doubtedAt: 2 },
  };
  it.each<[string, ProcessRecord, VisitOptions['google']]>([
    ['before it is repeated', intended, { get: [rival] }],
    ['when the repeat is refused', intended, { get: [google(), rival], claim: [rejected] }],
    ['in the 15 seconds', doubted, { get: [rival] }],
  ])('is another’s when somebody asks for the signature: %s', async (_when, record, answers) => {
    const { step } = await claiming({ record, google: answers ?? {} });
    expect(step).toMatchObject({ kind: 'end', outcome: 'yielded' });
  });

  it('is not known to be refused when the refusal is unclear', async () => {
    const { step } = await claiming({
      google: {
        get: [google(), google()],
        claim: [googleSays('google-rejected', { unclear: true })],
      },
    });
    expect(step).toMatchObject({
      kind: 'wait',
      record: { claim: { doubtedAt: expect.any(Number) } },
    });
  });
});

describe('a claim that Google clearly refuses', () => {
  it('is heard once, waited for, looked at, and repeated with the same id before it is believed', async () => {
    const visits = await Visits.begin({
      google: { get: [google(), google()], claim: [rejected, rejected] },
    });
    const first = await visits.step(claim);
    expect(first).toMatchObject({
      kind: 'wait',
      forMs: 15_000,
      verdict: { kind: 'claimed-by-other' },
    });
    const { verdict } = first as Extract<typeof first, { kind: 'wait' }>;
    await visits.rest(5_000, { ...first.record, ...(verdict && { verdict }) });
    // Too early: nobody is asked.
    expect(await visits.step(claim)).toMatchObject({ kind: 'wait', forMs: 10_000 });
    await visits.rest(10_000);
    const second = await visits.step(claim);
    expect(second).toMatchObject({ kind: 'end', outcome: 'yielded' });
    expect(visits.happened.filter((what) => what.startsWith('Google'))).toEqual([
      ...['Google: get', 'Google: claim', 'Google: get', 'Google: claim'],
    ]);
    expect(new Set(visits.asked('Google: claim').map(([, id]) => id)).size).toBe(1);
  });

  const heard = (now: number) =>
    ({ ...intended, verdict: { kind: 'claimed-by-other', heardAt: now - 15_000 } }) as const;

  it('and then takes is ours', async () => {
    const { step } = await claiming({
      record: heard(Date.now()),
      google: { get: [google()], claim: [done] },
    });
    expect(step).toMatchObject({ kind: 'onward' });
    expect(step.record).not.toHaveProperty('verdict');
  });

  it('stays refused when the repeat finds Google busy, which says nothing', async () => {
    const record = heard(Date.now());
    const visits = await Visits.begin({
      record,
      google: { get: [google()], claim: [googleSays('google-throttled')] },
    });
    await expect(visits.step(claim)).rejects.toMatchObject({ code: 'google-throttled' });
    expect(visits.written.at(-1)?.verdict).toEqual(record.verdict);
  });
});
