import { describe, expect, it } from 'vitest';
import { DeviceKey } from '../../conformance/device-key.ts';
import { refusalGuard } from '../../simulator/world/refusal-guard.ts';
import { Authority } from '../../src/authority/authority.ts';
import { ProvisioningError } from '../../src/errors.ts';
import { type EventMap, Events } from '../../src/events/events.ts';
import { collect, order } from '../../src/issue/issue.ts';
import { LeaseLostError } from '../../src/journal/journal.ts';
import type { ProcessRecord } from '../../src/journal/process-record.ts';
import { afterTrouble } from '../../src/lifecycle/lifecycle.ts';
import type {
  CertificateAuthority,
  Collected,
  Issuance,
} from '../../src/plug-in/certificate-authority.ts';
import type { Visit, VisitContext } from '../../src/visit/visit.ts';
import { ManualClock } from '../adapters/manual-clock.ts';

const signal = new AbortController().signal;
const processId = 'process-1';
const issued: Issuance = { kind: 'issued', certificate: Buffer.from('certificate'), chain: [] };

interface Bench {
  readonly context: VisitContext;
  readonly clock: ManualClock;
  readonly orphans: EventMap['orphan'][];
  readonly revoked: string[];
  readonly written: ProcessRecord[];
  readonly orders: string[];
  visit(record: ProcessRecord): Visit;
}

/** `failures` are the journal's, `troubles` the CA's, `looks` what comes of pending orders. */
function bench(
  idempotent: boolean,
  failures: Error[] = [],
  troubles: Error[] = [],
  looks: (Collected | Error)[] = [],
): Bench {
  const clock = new ManualClock();
  const events = new Events();
  const orphans: EventMap['orphan'][] = [];
  const revoked: string[] = [];
  const written: ProcessRecord[] = [];
  const orders: string[] = [];
  events.on('orphan', (orphan) => orphans.push(orphan));
  const adapter: CertificateAuthority = {
    kind: 'bench',
    features: { idempotent, pending: false, revoke: true, keyTypes: ['ec'], mayDrop: [] },
    check: async () => undefined,
    issue: async ({ requestId }) => {
      orders.push(requestId);
      const trouble = troubles.shift();
      if (trouble !== undefined) throw trouble;
      return issued;
    },
    collect: async () => {
      const found = looks.shift() ?? issued;
      if (found instanceof Error) throw found;
      return found;
    },
    revoke: async (certificate) => void revoked.push(Buffer.from(certificate).toString()),
    [Symbol.asyncDispose]: async () => undefined,
  };
  const authority = new Authority({
    reference: 'ca',
    adapter,
    roots: [],
    mayDrop: [],
    concurrency: 1,
    longestLine: 1,
    timeoutMs: 1_000,
    clock,
    random: () => 0.5,
    events,
    guard: refusalGuard({ clock, random: () => 0.5 }),
  });
  const context = {
    authorities: new Map([['ca', authority]]),
    issuingDeadlineMs: 1e9,
    clock,
    random: () => 0.5,
    events,
  } as unknown as VisitContext;
  const visit = (record: ProcessRecord): Visit => ({
    entry: { customer: 'C1', processId, openedAt: 0, record },
    record,
    save: async (saved) => {
      const failure = saved.issued === undefined ? undefined : failures.shift();
      if (failure !== undefined) throw failure;
      written.push(saved);
    },
    guard: () => undefined,
  });
  return { context, clock, orphans, revoked, written, orders, visit };
}

const { subjectPublicKeyInfo } = new DeviceKey('ec');
const proven: ProcessRecord = {
  request: {
    subjectPublicKeyInfo: Buffer.from(subjectPublicKeyInfo).toString('base64'),
    keyType: 'ec',
    authority: 'ca',
    subject: { kind: 'device' },
    wanted: {
      subject: [],
      subjectAltNames: [],
      keyUsages: [],
      extendedKeyUsages: [],
      validityDays: 1,
    },
  },
  csr: 'AA==',
};

describe('an order', () => {
  it('does not leave when its visit was overtaken while the intention was written', async () => {
    const { context, visit, written, orders } = bench(false);
    const overtaken: Visit = {
      ...visit(proven),
      guard: () => {
        if (written.length > 0) throw new LeaseLostError(processId);
      },
    };
    await expect(order(overtaken, context, signal)).rejects.toThrow(LeaseLostError);
    expect(written).toHaveLength(1);
    expect(orders).toEqual([]);
  });
});

describe('an order whose answer was lost', () => {
  it('is told to operators before it is repeated, where it may bring a second certificate', async () => {
    const { context, visit, written, orphans, orders } = bench(false);
    await order(visit(proven), context, signal);
    expect(orphans).toEqual([]);
    const [intended] = written;
    expect(intended?.order?.asking).toBe(true);
    await order(visit(intended ?? {}), context, signal);
    expect(orphans).toMatchObject([{ processId, authority: 'ca', revoked: false }]);
    expect(orphans[0]?.message).toContain(orders[0]);
    expect(new Set(orders).size).toBe(1);
  });

  it('is nothing to tell where the authority is idempotent', async () => {
    const { context, visit, written, orphans } = bench(true);
    await order(visit(proven), context, signal);
    await order(visit(written[0] ?? {}), context, signal);
    expect(orphans).toEqual([]);
  });

  it('is answered by a certificate, and by an error', async () => {
    const { context, visit, written } = bench(false);
    const step = await order(visit(proven), context, signal);
    expect(step.record.order).not.toHaveProperty('asking');
    const error = new ProvisioningError('ca-unavailable', '503', { unanswered: false });
    const waiting = afterTrouble(error, written[0] ?? {}, context, 5);
    expect(waiting.record.order).not.toHaveProperty('asking');
  });

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
  ])('is told at once, with its request id: %s', async (_what, error, told) => {
    const { context, visit, written, orphans, orders } = bench(false, [], [error]);
    await expect(order(visit(proven), context, signal)).rejects.toThrow(error.message);
    expect(orphans.map(({ requestId }) => requestId)).toEqual(orders.slice(0, told));
    const { record } = afterTrouble(error, written[0] ?? {}, context, 5);
    expect(record.order).toMatchObject(told === 0 ? { polls: 0 } : { unanswered: 1 });
    // What was told is not told again when it is ordered again.
    await order(visit(record), context, signal);
    expect(orphans).toHaveLength(told);
  });

  it('is told after an error nobody foresaw, when it is ordered again', async () => {
    const { context, visit, written } = bench(false);
    await order(visit(proven), context, signal);
    const { record } = afterTrouble(new TypeError('x'), written[0] ?? {}, context, 5);
    expect(record.order?.asking).toBe(true);
  });
});

describe('a certificate that cannot be written down', () => {
  it('is revoked when another visit has taken the process over meanwhile', async () => {
    const { context, visit, revoked } = bench(false, [new LeaseLostError(processId)]);
    await expect(order(visit(proven), context, signal)).rejects.toThrow(LeaseLostError);
    expect(revoked).toEqual(['certificate']);
  });

  it('is left alone where the other visit gets the very same one', async () => {
    const { context, visit, revoked } = bench(true, [new LeaseLostError(processId)]);
    await expect(order(visit(proven), context, signal)).rejects.toThrow(LeaseLostError);
    expect(revoked).toEqual([]);
  });
});

describe('a pending order', () => {
  const pending = (ticket: string | null): ProcessRecord => ({
    ...proven,
    order: { number: 1, requestId: 'a'.repeat(32), intendedAt: 0, polls: 1, ticket },
  });
  const lost: Collected = { kind: 'lost', reason: 'never heard of it' };

  it.each([true, false])(
    'that the authority has lost is told, and ordered anew later and later (idempotent: %s)',
    async (idempotent) => {
      const { context, visit, orphans } = bench(idempotent, [], [], [lost, lost, lost]);
      let { record } = await collect(visit(pending('1')), context, signal);
      expect(record.order).toMatchObject({ number: 2, lost: 1, polls: 0 });
      expect(record.order).not.toHaveProperty('ticket');
      expect(record.order?.requestId).not.toBe('a'.repeat(32));
      const pauses: number[] = [];
      for (const ticket of ['2', '3']) {
        const again = { ...record, order: { ...pending(ticket).order, ...record.order, ticket } };
        const step = await collect(visit(again as ProcessRecord), context, signal);
        if (step.kind === 'wait') pauses.push(step.forMs);
        ({ record } = step);
      }
      expect(pauses).toEqual([30_000, 60_000]);
      const message = expect.stringContaining('never heard of it');
      expect(orphans).toHaveLength(3);
      expect(orphans[0]).toMatchObject({ requestId: 'a'.repeat(32), revoked: false, message });
    },
  );

  const noAnswer = new ProvisioningError('ca-unavailable', 'reset');
  const neverLeft = new ProvisioningError('ca-unavailable', 'refused', { unanswered: false });

  it.each([
    ['is told where the look was an order itself', null, noAnswer, 1],
    ['is no news where that never left', null, neverLeft, 0],
    ['is no news where the order has a ticket', '1', noAnswer, 0],
  ])('whose look brings no answer %s', async (_what, ticket, error, told) => {
    const { context, visit, orphans } = bench(false, [], [], [error]);
    await expect(collect(visit(pending(ticket)), context, signal)).rejects.toThrow(error.message);
    expect(orphans).toHaveLength(told);
  });
});
