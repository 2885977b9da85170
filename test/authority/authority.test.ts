import { describe, expect, it } from 'vitest';
import { refusalGuard } from '../../simulator/world/refusal-guard.ts';
import { Authority, type AuthorityOptions } from '../../src/authority/authority.ts';
import { ProvisioningError } from '../../src/errors.ts';
import { Events } from '../../src/events/events.ts';
import type {
  CertificateAuthority,
  Issuance,
  IssueRequest,
} from '../../src/plug-in/certificate-authority.ts';
import { CallBudget } from '../../src/time/call-budget.ts';
import { disown, disownOrReport } from '../../src/visit/orphan.ts';
import { ScheduledClock } from '../support/scheduled-clock.ts';

const never = new AbortController().signal;
const how = { profile: 'p', writeDown: () => Promise.resolve() };
const request = {
  requestId: '0'.repeat(32),
  processId: 'p',
  subject: { kind: 'device', serialNumber: 'S1' },
} as IssueRequest;
const issued: Issuance = { kind: 'issued', certificate: Uint8Array.of(1), chain: [] };
const down = () => Promise.reject(new ProvisioningError('ca-unavailable', 'down'));
const hanging = () => new Promise<never>(() => undefined);

class FakeCa implements CertificateAuthority {
  readonly kind = 'fake';
  readonly features = {
    idempotent: false,
    pending: false,
    revoke: true,
    keyTypes: ['rsa', 'ec'],
    mayDrop: ['upn'],
  } as const;
  answer: () => Promise<Issuance> = () => Promise.resolve(issued);
  health: () => Promise<void> = () => Promise.resolve();
  readonly calls: string[] = [];
  readonly revoked: Uint8Array[] = [];

  check(): Promise<void> {
    this.calls.push('check');
    return this.health();
  }

  issue(): Promise<Issuance> {
    this.calls.push('issue');
    return this.answer();
  }

  collect(): Promise<Issuance> {
    this.calls.push('collect');
    return this.answer();
  }

  async revoke(certificate: Uint8Array): Promise<void> {
    this.calls.push('revoke');
    this.revoked.push(certificate);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing is open.
  }
}

function authorityOf(changes: Partial<AuthorityOptions> = {}) {
  const clock = new ScheduledClock();
  const adapter = new FakeCa();
  const events = new Events();
  const told: unknown[] = [];
  events.on('authority', (event) => told.push(event.up));
  events.on('orphan', (event) => told.push(event));
  const authority = new Authority({
    reference: 'ca',
    adapter,
    roots: [],
    mayDrop: ['dns'],
    concurrency: 2,
    longestLine: 1,
    timeoutMs: 5_000,
    clock,
    random: () => 0.5,
    events,
    guard: refusalGuard({ clock, random: () => 0.5 }),
    ...changes,
  });
  return { authority, adapter, clock, events, told };
}

describe('an authority', () => {
  it('may drop what its kind and what its installation drop', () => {
    expect(authorityOf().authority.mayDrop).toEqual(['dns', 'upn']);
  });

  it('is asked after no order when its kind leaves none pending', async () => {
    const { authority, adapter } = authorityOf();
    Object.assign(adapter, { collect: undefined });
    await expect(authority.collect('ticket', request, 'profile', never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message:
        'The authority ca (fake) leaves no order pending. Was the kind of this authority changed while orders were open?',
    });
    expect(adapter.calls).toEqual([]);
  });

  it('ends a call at its deadline as ca-unavailable', async () => {
    const { authority, adapter, clock } = authorityOf();
    adapter.answer = hanging;
    const failed = expect(authority.issue(request, how, never)).rejects.toMatchObject({
      code: 'ca-unavailable',
    });
    await clock.advance(5_000);
    await failed;
  });

  it('tells how long a call took, also when the clock was set meanwhile', async () => {
    let now = 0;
    const clock = { now: () => now, sleep: hanging };
    const { authority, adapter, events } = authorityOf({ clock });
    const took: number[] = [];
    events.on('caRequest', ({ seconds }) => took.push(seconds));
    for (const setBy of [-3_600_000, 8 * 3_600_000]) {
      adapter.answer = async () => {
        now += setBy;
        return issued;
      };
      await authority.issue(request, how, never);
    }
    for (const seconds of took) expect(Math.abs(seconds - 1)).toBeLessThanOrEqual(1);
    expect(took).toHaveLength(2);
  });

  it('makes no more calls than it has places, and turns away beyond its line', async () => {
    const { authority, adapter, clock } = authorityOf();
    adapter.answer = hanging;
    const waiting = [1, 2, 3].map(() =>
      authority.issue(request, how, never).catch(() => undefined),
    );
    await expect(authority.issue(request, how, never)).rejects.toMatchObject({
      code: 'ca-throttled',
      retryAfterMs: 1_250,
    });
    await clock.advance(0);
    expect(adapter.calls).toEqual(['issue', 'issue']);
    await clock.advance(20_000);
    await Promise.all(waiting);
  });

  it('is down after three unanswered calls, and then is not called any more', async () => {
    const { authority, adapter, told } = authorityOf();
    adapter.answer = down;
    for (let call = 0; call < 3; call += 1) {
      await expect(authority.issue(request, how, never)).rejects.toMatchObject({
        code: 'ca-unavailable',
      });
    }
    expect(authority.problem?.code).toBe('ca-unavailable');
    await expect(authority.issue(request, how, never)).rejects.toMatchObject({
      retryAfterMs: 50_000,
    });
    expect(adapter.calls).toHaveLength(3);
    expect(told).toEqual([false]);
  });

  it('does not make the calls that stood in line when it went down', async () => {
    const { authority, adapter, clock } = authorityOf({ concurrency: 3, longestLine: 5 });
    adapter.answer = hanging;
    const calls = Array.from({ length: 8 }, () =>
      authority.issue(request, how, never).catch((error: unknown) => error),
    );
    await clock.advance(30_000);
    const errors = await Promise.all(calls);
    expect(errors.every((error) => error instanceof ProvisioningError)).toBe(true);
    // Two came after the first two failures, when it was not yet known to be down.
    expect(adapter.calls).toHaveLength(5);
  });

  it('is not down for what the CA does answer', async () => {
    const { authority, adapter } = authorityOf();
    adapter.answer = () => Promise.reject(new ProvisioningError('ca-throttled', 'busy'));
    for (let call = 0; call < 5; call += 1)
      await authority.issue(request, how, never).catch(() => 0);
    expect(authority.problem).toBeUndefined();
  });

  it('is knocked at while it is down, and is up when check() passes', async () => {
    const { authority, adapter, clock, told } = authorityOf();
    const stop = new AbortController();
    adapter.health = down;
    const watch = authority.watch(stop.signal);
    await clock.advance(60_000);
    expect(adapter.calls).toHaveLength(7);
    adapter.health = () => Promise.resolve();
    await clock.advance(10_000);
    expect(authority.problem).toBeUndefined();
    expect(told).toEqual([false, true]);
    adapter.calls.length = 0;
    await clock.advance(600_000);
    expect(adapter.calls).toHaveLength(10);
    stop.abort();
    await watch;
  });

  it('counts its checks towards requestsPerSecond', async () => {
    const clock = new ScheduledClock();
    const budget = new CallBudget({ requestsPerSecond: 1, burst: 1, clock });
    const { authority, adapter } = authorityOf({ clock, budget });
    const stop = new AbortController();
    await authority.issue(request, how, never);
    const watch = authority.watch(stop.signal);
    await clock.advance(900);
    expect(adapter.calls).toEqual(['issue']);
    await clock.advance(200);
    expect(adapter.calls).toEqual(['issue', 'check']);
    stop.abort();
    await watch;
  });

  it('revokes what nobody will get, and tells', async () => {
    const { authority, adapter, events, told } = authorityOf();
    const record = { issued: { certificate: 'AQ==', chain: [], issuedAt: 0 } };
    await disown({ authority, events, processId: 'p' }, record, 'superseded', never);
    expect(adapter.revoked).toEqual([Buffer.of(1)]);
    expect(told).toMatchObject([{ processId: 'p', revoked: true }]);
  });

  it('tells of what could not be revoked in a moment that does not come back', async () => {
    const { authority, events, told } = authorityOf();
    const record = { issued: { certificate: 'AQ==', chain: [], issuedAt: 0 } };
    const over = AbortSignal.abort(new Error('over'));
    await disownOrReport({ authority, events, processId: 'p' }, record, 'superseded', over);
    expect(told).toMatchObject([{ processId: 'p', revoked: false, message: 'over' }]);
  });
});
