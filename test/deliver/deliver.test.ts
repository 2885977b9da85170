import { describe, expect, it } from 'vitest';
import { deliver } from '../../src/deliver/deliver.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { done } from '../support/chosen-answers.ts';
import {
  certificate,
  google,
  googleSays,
  lostAnswer,
  received,
} from '../support/sample-process.ts';
import { type VisitOptions, Visits } from '../support/visit.ts';

const der = certificate();
const pem = encodePem('CERTIFICATE', der);
const record = received(der);
const rejected = googleSays('google-rejected');
const conflict = googleSays('google-unavailable', { status: 409 });

async function delivers(options: VisitOptions) {
  const visits = await Visits.begin({ record, ...options });
  const step = await visits.step(deliver);
  expect(visits.unasked).toEqual([]);
  return { visits, step, happened: visits.happened };
}

describe('the certificate', () => {
  it('is uploaded, the leaf alone, and the process has ended', async () => {
    const { visits, step, happened } = await delivers({ google: { uploadCertificate: [done] } });
    expect(happened).toEqual(['Google: uploadCertificate']);
    expect(visits.asked('Google: uploadCertificate')).toEqual([[pem]]);
    expect(step).toMatchObject({ kind: 'end', outcome: 'delivered' });
  });

  it('is uploaded again, the same one, when the answer was lost', async () => {
    const visits = await Visits.begin({
      record,
      google: { uploadCertificate: [lostAnswer(), done] },
    });
    await expect(visits.step(deliver)).rejects.toMatchObject({ unclear: true });
    await visits.crash();
    expect(await visits.step(deliver)).toMatchObject({ outcome: 'delivered' });
    expect(visits.asked('Google: uploadCertificate')).toEqual([[pem], [pem]]);
  });

  it('that expired while Google could not be reached is refused', async () => {
    const short = received(certificate({ validityDays: 1 }));
    const visits = await Visits.begin({
      record: short,
      google: { uploadCertificate: [lostAnswer()] },
    });
    visits.clock.advance(25 * 3_600_000);
    await expect(visits.step(deliver)).rejects.toMatchObject({
      code: 'certificate-expired-undelivered',
    });
  });
});

describe('an upload that Google refuses', () => {
  it.each([rejected, conflict])(
    'may be the echo of an earlier one: the process, which has our certificate, decides (%s)',
    async (error) => {
      const { step, happened } = await delivers({
        google: { uploadCertificate: [error], get: [google({ issuedCertificate: pem })] },
      });
      expect(happened).toEqual(['Google: uploadCertificate', 'Google: get']);
      expect(step).toMatchObject({ kind: 'end', outcome: 'delivered' });
    },
  );

  it.each([
    ['has another certificate', { issuedCertificate: encodePem('CERTIFICATE', certificate()) }],
    ['has what is no certificate', { issuedCertificate: 'PEM' }],
    ['has failed', { failureMessage: 'no' }],
  ])('of a process that %s has ended it', async (_what, changes) => {
    const { step } = await delivers({
      google: { uploadCertificate: [rejected], get: [google(changes)] },
    });
    expect(step).toMatchObject({ kind: 'end', outcome: 'gone' });
  });

  it('of a process that does not show why is heard twice, with a look at the process each time', async () => {
    const answers = { uploadCertificate: [rejected], get: [google()] };
    const first = await delivers({ google: answers });
    const verdict = { kind: 'upload-refused' };
    expect(first.step).toMatchObject({ kind: 'wait', forMs: 15_000, verdict });
    const heard = { kind: 'upload-refused', heardAt: Date.now() - 15_000 } as const;
    const second = await Visits.begin({ record: { ...record, verdict: heard }, google: answers });
    await expect(second.step(deliver)).rejects.toMatchObject({ code: 'google-rejected' });
    expect(second.happened).toEqual(['Google: uploadCertificate', 'Google: get']);
  });

  it('with 409 is a matter of time', async () => {
    const visits = await Visits.begin({
      record,
      google: { uploadCertificate: [conflict], get: [google()] },
    });
    await expect(visits.step(deliver)).rejects.toMatchObject({ status: 409 });
  });
});

describe('a process that is not found when its certificate is to be uploaded', () => {
  const notFound = googleSays('google-not-found');
  const { issued, ...before } = record;

  it.each([
    ['by the upload', { uploadCertificate: [notFound] }],
    ['by the look after it', { uploadCertificate: [rejected], get: [notFound] }],
  ])(
    'is heard twice (%s); its device may have got the certificate before',
    async (_what, answers) => {
      const { step } = await delivers({ google: answers });
      expect(step).toMatchObject({
        kind: 'wait',
        forMs: 15_000,
        verdict: { kind: 'gone' },
        record: { issued: { mayBeInUse: true } },
      });
    },
  );

  it('has surely not got it where it came in this very visit', async () => {
    const visits = await Visits.begin({
      record: before,
      google: { uploadCertificate: [notFound] },
    });
    visits.visit.proceed(record);
    const step = await visits.step(deliver);
    expect(step).toMatchObject({ kind: 'wait', verdict: { kind: 'gone' } });
    expect(step.record.issued).toEqual(issued);
  });
});
