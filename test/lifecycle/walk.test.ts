import { describe, expect, it } from 'vitest';
import { ProvisioningError } from '../../src/errors.ts';
import { advance, afterTrouble } from '../../src/lifecycle/lifecycle.ts';
import type { Step } from '../../src/visit/visit.ts';
import { done } from '../support/chosen-answers.ts';
import {
  asking,
  google,
  googleSays,
  issuance,
  key,
  ordering,
  received,
  toBeSigned,
} from '../support/sample-process.ts';
import { type VisitOptions, Visits } from '../support/visit.ts';

/** Every step to the end, as the worker takes them. */
async function walk(options: VisitOptions, isProven = false) {
  const visits = await Visits.begin(options);
  if (isProven) await visits.prove();
  for (let steps = 0; steps < 40; steps += 1) {
    const step: Step = await visits
      .step(advance)
      .catch((error: unknown) =>
        afterTrouble(error, visits.visit.record, visits.context, visits.clock.now()),
      );
    visits.visit.proceed(step.record);
    if (step.kind === 'wait') await visits.rest(step.forMs, step.record);
    if (step.kind !== 'end') continue;
    expect(visits.unasked).toEqual([]);
    return { visits, step, happened: visits.happened };
  }
  throw new Error('It must come to an end.');
}

const name = 'operations/1';
const running = { kind: 'running', name } as const;
const signed = { kind: 'done', name, signature: key.sign(toBeSigned) } as const;

describe('the order of writes', () => {
  it('of a prompt device: five calls to Google, each after what must be known before it', async () => {
    const { step, happened } = await walk({
      google: {
        get: [google()],
        claim: [done],
        signData: [running],
        operation: [signed],
        uploadCertificate: [done],
      },
      ca: { prepare: [{}], issue: [issuance()] },
    });
    expect(step).toMatchObject({ outcome: 'delivered' });
    expect(happened).toEqual([
      'Google: get',
      'write: request, claim',
      'Google: claim',
      'CA: prepare',
      'write: claim, signing',
      'Google: signData',
      'rest: signing',
      'Google: operation',
      'write: signing, csr, order',
      'CA: issue',
      'write: order, issued',
      'Google: uploadCertificate',
    ]);
  });

  it('of one that the CA decides later: its ticket is written before it is asked after', async () => {
    const { happened } = await walk({
      record: ordering,
      google: { uploadCertificate: [done] },
      ca: {
        issue: [{ kind: 'pending', ticket: 'ticket-1', pollAfterMs: 60_000 }],
        collect: [issuance()],
      },
    });
    expect(happened).toEqual([
      ...['write: nothing new', 'CA: issue', 'rest: order'],
      ...['CA: collect', 'write: issued', 'Google: uploadCertificate'],
    ]);
  });

  it('of one that is refused: the decision, then Google is told', async () => {
    const { step, happened } = await walk(
      {
        record: ordering,
        google: { setFailure: [done] },
        ca: { issue: [new ProvisioningError('ca-rejected', 'not on the list')] },
      },
      true,
    );
    expect(step).toMatchObject({ outcome: 'refused', code: 'ca-rejected' });
    expect(happened).toEqual([
      ...['write: nothing new', 'CA: issue', 'write: order, refusal', 'Google: setFailure'],
    ]);
  });
});

describe('a process that has gone', () => {
  const gone = () => googleSays('google-not-found');

  it('is looked for twice, 15 seconds apart, and closed', async () => {
    const { visits, step, happened } = await walk({ google: { get: [gone(), gone()] } });
    expect(step).toMatchObject({ outcome: 'gone', code: 'google-not-found' });
    expect(happened).toEqual(['Google: get', 'rest: verdict', 'Google: get']);
    expect(visits.written[0]?.verdict?.kind).toBe('gone');
  });

  it('goes on where the second look finds it', async () => {
    const { step, happened } = await walk({
      record: received(),
      google: { uploadCertificate: [gone(), done], get: [google()] },
    });
    expect(step).toMatchObject({ outcome: 'delivered' });
    expect(happened.filter((what) => what.startsWith('Google'))).toEqual([
      ...['Google: uploadCertificate', 'Google: get', 'Google: uploadCertificate'],
    ]);
  });

  it('with a certificate at hand is wound up first: the ending is written, then it is revoked', async () => {
    const { visits, step, happened } = await walk({
      record: received(),
      google: {
        uploadCertificate: [googleSays('google-rejected')],
        get: [google({ failureMessage: 'wiped' })],
      },
      ca: { revoke: [done] },
    });
    expect(step).toMatchObject({ outcome: 'gone' });
    expect(happened).toEqual([
      ...['Google: uploadCertificate', 'Google: get', 'write: ending', 'CA: revoke'],
    ]);
    expect(visits.orphans).toMatchObject([{ revoked: true }]);
  });
});

describe('what Google said once', () => {
  it('is overcome when the next look goes well', async () => {
    const heard = { kind: 'signing-refused', heardAt: 1 } as const;
    const visits = await Visits.begin({
      record: { ...asking, verdict: heard },
      google: { get: [google({ signData: toBeSigned })] },
    });
    const step = await visits.step(advance);
    expect(step.kind).toBe('wait');
    expect(step.record).not.toHaveProperty('verdict');
  });
});
