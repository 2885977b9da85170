import { describe, expect, it } from 'vitest';
import { ProvisioningError } from '../../src/errors.ts';
import { collect, order } from '../../src/issue/issue.ts';
import { LeaseLostError } from '../../src/journal/journal.ts';
import type { ProcessRecord } from '../../src/journal/process-record.ts';
import { afterTrouble } from '../../src/lifecycle/lifecycle.ts';
import type { AuthorityFeatures } from '../../src/plug-in/certificate-authority.ts';
import { done } from '../support/chosen-answers.ts';
import {
  certificate,
  csr,
  issuance,
  ordering,
  pending,
  proven,
} from '../support/sample-process.ts';
import { type VisitOptions, Visits } from '../support/visit.ts';

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
const hour = 3_600_000;
const requestId = ordering.order?.requestId;

async function orders(options: VisitOptions) {
  const visits = await Visits.begin(options);
  const step = await visits.step(order);
  expect(visits.unasked).toEqual([]);
  return { visits, step, happened: visits.happened };
}

describe('an order', () => {
  it('is written with its request id, then placed; the certificate is written before anything is done with it', async () => {
    const der = certificate();
    const { visits, step, happened } = await orders({
      record: proven,
      ca: { issue: [issuance(der)] },
    });
    expect(happened).toEqual(['write: order', 'CA: issue', 'write: order, issued']);
    const [intention, received] = visits.written;
    expect(intention?.order).toMatchObject({ number: 1, requestId, asking: true });
    expect(requestId).toMatch(/^[0-9a-f]{32}$/);
    const [[request] = []] = visits.asked('CA: issue');
    expect(request).toMatchObject({ requestId, processId: 'process-1', csr: Buffer.from(csr) });
    expect(received?.issued).toMatchObject({
      certificate: base64(der),
      serialNumber: expect.stringMatching(/^[0-9A-F]+$/),
    });
    expect(received?.order).not.toHaveProperty('asking');
    expect(step).toEqual({ kind: 'onward', record: received });
    expect(visits.orphans).toEqual([]);
  });

  it('has with it what prepare() gave', async () => {
    const { visits } = await orders({
      record: {
        ...proven,
        signing: { ...proven.signing, prepared: 'a challenge' },
      } as ProcessRecord,
      ca: { issue: [issuance()] },
    });
    expect(visits.asked('CA: issue')).toMatchObject([[{ prepared: 'a challenge' }]]);
  });

  it('is not placed when what prepare() gave has run out: the device signs only once', async () => {
    const visits = await Visits.begin({
      record: { ...proven, signing: { ...proven.signing, preparedUntil: 1 } } as ProcessRecord,
    });
    await expect(visits.step(order)).rejects.toMatchObject({ code: 'preparation-expired' });
    expect(visits.happened).toEqual([]);
  });

  it('does not leave when its visit was overtaken, or may be before it has left', async () => {
    const overtaken = await Visits.begin({ record: proven });
    await overtaken.overtake();
    await expect(overtaken.step(order)).rejects.toThrow(LeaseLostError);
    expect(overtaken.happened).toEqual([]);
    const late = await Visits.begin({ record: proven });
    late.journal.onWrite = () => late.clock.advance(60_000);
    await expect(late.step(order)).rejects.toThrow(LeaseLostError);
    expect(late.happened).toEqual(['write: order']);
    const nearlyOver = await Visits.begin({ record: proven });
    nearlyOver.clock.advance(29_000);
    await expect(nearlyOver.step(order)).rejects.toThrow(LeaseLostError);
    expect(nearlyOver.happened).toEqual([]);
  });

  it('waits while its authority is in no configuration', async () => {
    const visits = await Visits.begin({ record: proven, context: { authorities: new Map() } });
    await expect(visits.step(order)).rejects.toMatchObject({ code: 'ca-misconfigured' });
    expect(visits.happened).toEqual([]);
  });

  it('that is pending is asked after when the authority said, within bounds', async () => {
    const pauses: unknown[] = [];
    for (const pollAfterMs of [0, 60_000, 48 * hour]) {
      const { step, visits } = await orders({
        record: proven,
        ca: { issue: [{ kind: 'pending', ticket: 'ticket-1', pollAfterMs }] },
      });
      expect(step.record.order).toMatchObject({ ticket: 'ticket-1', polls: 1 });
      expect(visits.happened).toEqual(['write: order', 'CA: issue']);
      if (step.kind === 'wait') pauses.push(step.forMs);
    }
    expect(pauses).toEqual([1_125, 67_500, 6.75 * hour]);
  });

  it('that is rejected by an authority that is believed ends with its words', async () => {
    const visits = await Visits.begin({
      record: proven,
      ca: { issue: [{ kind: 'rejected', reason: 'not on the list' }] },
    });
    await visits.prove();
    await expect(visits.step(order)).rejects.toMatchObject({
      code: 'ca-rejected',
      message: 'not on the list',
    });
  });

  it('that is rejected and not believed is held, and placed later under the next request id', async () => {
    const visits = await Visits.begin({
      record: proven,
      ca: { issue: [{ kind: 'rejected', reason: 'wrong challenge' }, issuance()] },
    });
    await expect(visits.step(order)).rejects.toMatchObject({ code: 'ca-rejecting' });
    expect(visits.happened).toEqual(['write: order', 'CA: issue', 'write: order']);
    expect(visits.written.at(-1)?.order).toMatchObject({ number: 2, doubted: 1 });
    await visits.rest(2 * 60_000);
    await visits.step(order);
    const ids = visits
      .asked('CA: issue')
      .map(([request]) => (request as { requestId: string }).requestId);
    expect(new Set(ids).size).toBe(2);
  });
});

describe('an order whose answer was lost', () => {
  it.each<[Partial<AuthorityFeatures>, number]>([
    [{}, 1],
    [{ idempotent: true }, 0],
    [{ findsEarlier: true }, 0],
  ])(
    'is placed again under the same id, and told before where that may bring a second certificate: %j',
    async (features, told) => {
      const visits: Visits = await Visits.begin({
        record: ordering,
        features,
        ca: {
          issue: [
            () => {
              expect(visits.orphans).toHaveLength(told);
              return issuance();
            },
          ],
        },
      });
      await visits.step(order);
      expect(visits.asked('CA: issue')).toMatchObject([[{ requestId }]]);
      const about = { processId: 'process-1', authority: 'ca', requestId, revoked: false };
      expect(visits.orphans).toMatchObject(Array.from({ length: told }, () => about));
      for (const { message } of visits.orphans) expect(message).toContain(requestId);
    },
  );

  const unread = new ProvisioningError('ca-bad-answer', 'not DER');
  const noAnswer = new ProvisioningError('ca-unavailable', 'reset');
  const odd = new ProvisioningError('ca-misconfigured', 'odd', { unanswered: true });
  const neverLeft = new ProvisioningError('ca-unavailable', 'refused', { unanswered: false });
  const busy = new ProvisioningError('ca-throttled', 'busy');

  it.each([
    ['an answer that cannot be read', unread, 1],
    ['no answer', noAnswer, 1],
    ['an error that says so', odd, 1],
    ['no connection', neverLeft, 0],
    ['a clear word', busy, 0],
  ])('is told at once, and once: %s', async (_what, error, told) => {
    const visits = await Visits.begin({ record: proven, ca: { issue: [error, issuance()] } });
    await expect(visits.step(order)).rejects.toThrow(error.message);
    expect(visits.orphans.map((orphan) => orphan.requestId)).toEqual([requestId].slice(0, told));
    const { record } = afterTrouble(error, visits.visit.record, visits.context, visits.clock.now());
    expect(record.order).toMatchObject(told === 0 ? { polls: 0 } : { unanswered: 1 });
    expect(record.order).not.toHaveProperty('asking');
    await visits.rest(60_000, record);
    await visits.step(order);
    expect(visits.orphans).toHaveLength(told);
  });

  it('is told after an error nobody foresaw, when it is ordered again', async () => {
    const { record } = afterTrouble(
      new TypeError('x'),
      ordering,
      { issuingDeadlineMs: hour, random: () => 0 },
      5,
    );
    const { visits } = await orders({ record, ca: { issue: [issuance()] } });
    expect(visits.orphans).toHaveLength(1);
  });
});

describe('a certificate that cannot be written down, for another visit has taken the process over', () => {
  it.each<[string, Partial<AuthorityFeatures>, string[]]>([
    ['is revoked: the other visit has one of its own', {}, ['CA: revoke']],
    ['stays good where the other visit gets the very same one', { idempotent: true }, []],
    ['stays good where the other visit may find it', { findsEarlier: true }, []],
  ])('%s', async (_what, features, after) => {
    const der = certificate();
    const visits: Visits = await Visits.begin({
      record: proven,
      features,
      ca: { issue: [() => visits.overtake().then(() => issuance(der))], revoke: [done] },
    });
    await expect(visits.step(order)).rejects.toThrow(LeaseLostError);
    expect(visits.happened).toEqual(['write: order', 'CA: issue', ...after]);
    if (after.length > 0) {
      expect(visits.asked('CA: revoke')).toEqual([[Buffer.from(der), 'superseded']]);
      expect(visits.orphans).toMatchObject([{ revoked: true }]);
    }
  });

  it.each<[string, VisitOptions, RegExp]>([
    ['the CA is down', { ca: { revoke: [new Error('no route')] } }, /no route/],
    ['the CA cannot revoke', { features: { revoke: false } }, /cannot revoke/],
  ])('and cannot be revoked is told: %s', async (_what, options, message) => {
    const visits: Visits = await Visits.begin({
      record: proven,
      ...options,
      ca: { ...options.ca, issue: [() => visits.overtake().then(() => issuance())] },
    });
    await expect(visits.step(order)).rejects.toThrow(LeaseLostError);
    expect(visits.orphans).toMatchObject([
      { revoked: false, message: expect.stringMatching(message) },
    ]);
  });
});

describe('a pending order', () => {
  it('is asked after with its ticket, and the certificate is written', async () => {
    const visits = await Visits.begin({ record: pending, ca: { collect: [issuance()] } });
    const step = await visits.step(collect);
    expect(visits.happened).toEqual(['CA: collect', 'write: issued']);
    expect(visits.asked('CA: collect')).toMatchObject([['ticket-1', { requestId }]]);
    expect(step).toEqual({ kind: 'onward', record: visits.written[0] });
  });

  it('that nobody decides within limits.issuingHours is not asked after any more', async () => {
    const visits = await Visits.begin({
      record: { ...pending, age: { ms: hour, at: Date.now(), restMs: 0 } },
      context: { issuingDeadlineMs: hour },
    });
    await expect(visits.step(collect)).rejects.toMatchObject({ code: 'ca-undecided' });
    expect(visits.happened).toEqual([]);
  });

  it.each([true, false])(
    'that the authority has lost is told, and ordered anew later and later (idempotent: %s)',
    async (idempotent) => {
      const lost = { kind: 'lost', reason: 'never heard of it' } as const;
      const visits = await Visits.begin({
        record: pending,
        features: { idempotent },
        ca: { collect: [lost, lost, lost] },
      });
      const pauses: number[] = [];
      for (let times = 1; times <= 3; times += 1) {
        const step = await visits.step(collect);
        const placed = step.record.order;
        expect(placed).toMatchObject({ number: times + 1, lost: times, polls: 0 });
        expect(placed).not.toHaveProperty('ticket');
        if (step.kind !== 'wait' || placed === undefined) throw new Error('It must wait.');
        pauses.push(step.forMs);
        await visits.rest(step.forMs, { ...step.record, order: { ...placed, ticket: 'again' } });
      }
      expect(pauses).toEqual([1_000, 30_000, 60_000]);
      const ids = visits.orphans.map((orphan) => orphan.requestId);
      expect(ids[0]).toBe(requestId);
      expect(new Set(ids).size).toBe(3);
      const message = expect.stringContaining('never heard of it');
      expect(visits.orphans[0]).toMatchObject({ revoked: false, message });
    },
  );

  const noAnswer = new ProvisioningError('ca-unavailable', 'reset');
  const neverLeft = new ProvisioningError('ca-unavailable', 'refused', { unanswered: false });

  it.each([
    ['is told where the look was an order itself', null, noAnswer, 1],
    ['is no news where that never left', null, neverLeft, 0],
    ['is no news where the order has a ticket', '1', noAnswer, 0],
  ])('whose look brings no answer %s', async (_what, ticket, error, told) => {
    const visits = await Visits.begin({
      record: { ...pending, order: { ...pending.order, ticket } } as ProcessRecord,
      ca: { collect: [error] },
    });
    await expect(visits.step(collect)).rejects.toThrow(error.message);
    expect(visits.orphans).toHaveLength(told);
  });
});
