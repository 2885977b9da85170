import { describe, expect, it } from 'vitest';
import { refuse } from '../../src/deliver/refuse.ts';
import { ProvisioningError } from '../../src/errors.ts';
import type { ProcessRecord } from '../../src/journal/process-record.ts';
import { withRefusal } from '../../src/visit/visit.ts';
import { done } from '../support/chosen-answers.ts';
import { claimed, google, googleSays, lostAnswer } from '../support/sample-process.ts';
import { type VisitOptions, Visits } from '../support/visit.ts';

const words = 'The officer says no to 5CD1234.';
const record = withRefusal(claimed, new ProvisioningError('ca-rejected', words), 2);
const text = record.refusal?.deviceText;
const told = ['write: nothing new', 'Google: setFailure'];

async function refuses(options: VisitOptions) {
  const visits = await Visits.begin({ record, ...options });
  const step = await visits.step(refuse);
  expect(visits.unasked).toEqual([]);
  return { visits, step, happened: visits.happened };
}

describe('a refusal', () => {
  it('is written, then Google is told the device’s text; the CA’s words are for operators', async () => {
    const visits = await Visits.begin({ record: claimed, google: { setFailure: [done] } });
    visits.visit.proceed(record);
    const step = await visits.step(refuse);
    expect(visits.happened).toEqual(['write: refusal', 'Google: setFailure']);
    expect(visits.asked('Google: setFailure')).toEqual([[text]]);
    expect(text).toMatch(/^The certificate authority declined this request\..* \(ca-rejected\)$/);
    expect(step).toMatchObject({
      kind: 'end',
      outcome: 'refused',
      code: 'ca-rejected',
      message: words,
    });
  });

  it('whose answer was lost is told again, the same text', async () => {
    const visits = await Visits.begin({ record, google: { setFailure: [lostAnswer(), done] } });
    await expect(visits.step(refuse)).rejects.toMatchObject({ unclear: true });
    await visits.crash();
    expect(await visits.step(refuse)).toMatchObject({ outcome: 'refused' });
    expect(visits.asked('Google: setFailure')).toEqual([[text], [text]]);
  });

  const errors = [
    googleSays('google-rejected'),
    googleSays('google-not-found'),
    googleSays('google-unavailable', { status: 409 }),
  ];

  it.each(errors)(
    'that Google refuses may be an echo: the process has failed (%s)',
    async (error) => {
      const { step, happened } = await refuses({
        google: { setFailure: [error], get: [google({ failureMessage: text ?? '' })] },
      });
      expect(happened).toEqual([...told, 'Google: get']);
      expect(step).toMatchObject({ kind: 'end', outcome: 'refused', message: words });
    },
  );

  it.each(errors)('comes too late for a process that has a certificate (%s)', async (error) => {
    const { step } = await refuses({
      google: { setFailure: [error], get: [google({ issuedCertificate: 'PEM' })] },
    });
    expect(step).toMatchObject({ kind: 'end', outcome: 'gone', code: 'ca-rejected' });
  });

  it('that Google refuses twice is over all the same, and says so', async () => {
    const answers = { setFailure: [googleSays('google-rejected')], get: [google()] };
    const first = await refuses({ google: answers });
    const verdict = { kind: 'failure-refused' };
    expect(first.step).toMatchObject({ kind: 'wait', forMs: 15_000, verdict });
    const heard = { kind: 'failure-refused', heardAt: Date.now() - 15_000 } as const;
    const second = await refuses({ record: { ...record, verdict: heard }, google: answers });
    expect(second.step).toMatchObject({ kind: 'end', outcome: 'refused' });
    expect(second.step).toHaveProperty(
      'message',
      expect.stringMatching(/did not take the failure/),
    );
  });

  it.each<[string, ProcessRecord, VisitOptions['google']]>([
    ['a 409 that nothing explains', record, { setFailure: errors.slice(2), get: [google()] }],
    ['a busy Google', record, { setFailure: [googleSays('google-throttled')] }],
    [
      'a look that finds nothing',
      record,
      { setFailure: errors.slice(0, 1), get: [googleSays('google-not-found')] },
    ],
  ])('is not over with %s', async (_what, decided, answers) => {
    const visits = await Visits.begin({ record: decided, google: answers ?? {} });
    await expect(visits.step(refuse)).rejects.toThrow(/Google says/);
    expect(visits.unasked).toEqual([]);
  });
});
