import { describe, expect, it } from 'vitest';
import { accept } from '../../src/deliver/accept.ts';
import type { ProcessRecord } from '../../src/journal/process-record.ts';
import { requestIdOf } from '../../src/visit/issue-request.ts';
import { done } from '../support/chosen-answers.ts';
import { certificate, received } from '../support/sample-process.ts';
import { type VisitOptions, Visits } from '../support/visit.ts';

const strange = [[{ type: '2.5.4.3', value: 'somebody else' }]];
const failing = received(certificate({ subject: strange }));
const code = 'certificate-wrong-names';
const { issued, order } = failing;

/** The same, with what is known of the certificate and of its order. */
function known(ofCertificate: object, ofOrder: object = {}): ProcessRecord {
  return {
    ...failing,
    issued: { ...issued, faultCode: code, ...ofCertificate },
    order: { ...order, ...ofOrder },
  } as ProcessRecord;
}

/** Whose certificates for the profile have passed before: its failing ones are believed. */
async function believed(options: VisitOptions) {
  const visits = await Visits.begin(options);
  await visits.prove();
  return visits;
}

describe('a certificate', () => {
  it('that is what was ordered passes; nobody is asked and nothing is written', async () => {
    const visits = await Visits.begin({ record: received() });
    expect(await visits.step(accept)).toEqual({ kind: 'onward', record: visits.visit.record });
    expect(visits.happened).toEqual([]);
  });

  it('that fails its check is kept for 15 minutes, and that is written', async () => {
    const visits = await believed({ record: failing });
    await expect(visits.step(accept)).rejects.toMatchObject({ code, retryAfterMs: 15 * 60_000 });
    expect(visits.happened).toEqual(['write: issued']);
    expect(visits.written[0]?.issued).toEqual({ ...issued, faultCode: code });
  });

  it('that was kept passes once a corrected configuration accepts it', async () => {
    const nameless = received(certificate({ subject: [] }));
    const kept = { ...nameless, issued: { ...nameless.issued, faultCode: code } } as ProcessRecord;
    const visits = await Visits.begin({ record: kept, features: { mayDrop: ['subject'] } });
    expect((await visits.step(accept)).kind).toBe('onward');
    expect(visits.happened).toEqual([]);
  });

  it('that still fails is revoked, and ordered anew under the next request id', async () => {
    const visits = await believed({ record: known({}), ca: { revoke: [done] } });
    const step = await visits.step(accept);
    expect(visits.happened).toEqual(['CA: revoke']);
    expect(visits.asked('CA: revoke')).toEqual([
      [Buffer.from(issued?.certificate ?? '', 'base64'), 'superseded'],
    ]);
    expect(visits.orphans).toMatchObject([{ revoked: true }]);
    expect(step.record.order).toMatchObject({ number: 2, requestId: requestIdOf('process-1', 2) });
    expect(step.record).not.toHaveProperty('issued');
  });

  it('is not ordered anew while it cannot be revoked', async () => {
    const visits = await believed({
      record: known({}),
      ca: { revoke: [new Error('no route')] },
    });
    await expect(visits.step(accept)).rejects.toThrow('no route');
    expect(visits.visit.record.issued).toBeDefined();
  });

  it('that is the third to fail is believed: the process is refused with the check’s code', async () => {
    const visits = await believed({ record: known({}, { number: 3 }) });
    const step = await visits.step(accept);
    expect(step).toMatchObject({ kind: 'onward', record: { refusal: { code } } });
    expect(step.record.issued).toBeDefined();
    expect(visits.happened).toEqual([]);
  });

  it.each([{ doubted: 1 }, { lost: 1 }])(
    'does not count towards the three what was not its doing: %j',
    async (notIts) => {
      const visits = await believed({
        record: known({}, { number: 3, ...notIts }),
        ca: { revoke: [done] },
      });
      expect((await visits.step(accept)).record.order).toMatchObject({ number: 4 });
    },
  );
});

describe('a failing certificate of an authority none of whose certificates has passed', () => {
  it('is kept, and counted once as not believed', async () => {
    const visits = await Visits.begin({ record: failing });
    await expect(visits.step(accept)).rejects.toMatchObject({ name: 'HeldError', code });
    expect(visits.happened).toEqual(['write: order, issued']);
    expect(visits.written[0]).toMatchObject({ issued: { doubted: true }, order: { doubted: 1 } });
    await visits.rest(5 * 60_000);
    await expect(visits.step(accept)).rejects.toMatchObject({ name: 'HeldError' });
    expect(visits.visit.record.order).toMatchObject({ doubted: 1 });
    expect(visits.orphans).toEqual([]);
  });

  it('is revoked and ordered anew when nobody else has tried for ten minutes more, however often', async () => {
    const visits = await Visits.begin({
      record: { ...failing, order: { ...order, number: 7 } } as ProcessRecord,
      ca: { revoke: [done] },
    });
    await expect(visits.step(accept)).rejects.toMatchObject({ name: 'HeldError' });
    await visits.rest(11 * 60_000 + 60_000);
    expect((await visits.step(accept)).record.order).toMatchObject({ number: 8 });
    expect(visits.happened.at(-1)).toBe('CA: revoke');
  });
});
