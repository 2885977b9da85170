import { describe, expect, it } from 'vitest';
import type { Evidence, LedgerRow, Lived, LogLine } from '../../../proofs/campaign/evidence.ts';
import { points } from '../../../proofs/campaign/points.ts';
import { groups } from '../../../proofs/campaign/population.ts';
import { judge } from '../../../proofs/campaign/verdict.ts';
import type { ProcessView } from '../../../simulator/simulated-process.ts';

const group = (name: string) => {
  const found = groups.find((each) => each.name === name);
  if (found === undefined) throw new Error(`There is no group ${name}.`);
  return found;
};

const id = 'process-1';
const calls = { get: 1, claim: 1, signData: 1, operation: 1, uploadCertificate: 1, setFailure: 0 };
const delivered = {
  id,
  state: 'delivered',
  carriedOut: calls,
  device: { accepted: true },
} as unknown as ProcessView;
const failed = (failureMessage: string) =>
  ({ ...delivered, state: 'failed', device: { accepted: false }, failureMessage }) as ProcessView;

const certificate = (changes: Partial<LedgerRow> = {}): LedgerRow => ({
  authority: 'surplus_ca',
  serial: '01',
  certificate: 'AA==',
  revoked: false,
  ...changes,
});

interface Case {
  readonly view?: ProcessView;
  readonly group?: string;
  readonly outcome?: string | null;
  readonly code?: string;
  readonly ledger?: readonly LedgerRow[];
  readonly logLines?: readonly LogLine[];
  readonly lived?: readonly Lived[];
  readonly kills?: number;
  readonly out?: number;
  readonly isLost?: boolean;
}

function evidence(given: Case): Evidence {
  const { outcome = 'delivered', code = null, kills = 1 } = given;
  return {
    options: { journal: 'postgres', kills, leaseSeconds: 5 },
    views: [given.view ?? delivered],
    groupOf: new Map([[id, group(given.group ?? 'ec device')]]),
    journal: new Map(given.isLost === true ? [] : [[id, { id, outcome, code, record: '{}' }]]),
    ledger: new Map([[id, given.ledger ?? [certificate()]]]),
    strangers: [],
    outages: [],
    messages: { waiting: 0, out: given.out ?? 0 },
    lived: given.lived ?? [],
    deserted: [],
    logLines: given.logLines ?? [],
  } as unknown as Evidence;
}

const kinds = (given: Case) => judge(evidence(given)).breaches.map(({ kind }) => kind);
const orphan = { instance: 'a', event: 'orphan', processId: id, revoked: false, text: '' };

describe('the verdict', () => {
  it('finds nothing where nothing is wrong', () => {
    expect(kinds({})).toEqual([]);
  });

  it.each<[string, Case, string]>([
    ['a process that is in no journal', { isLost: true }, 'lost'],
    ['a process that is still open', { outcome: null }, 'lost'],
    ['a message that is still out', { out: 1 }, 'lost'],
    ['a device that was asked twice', { view: signed(2) }, 'signed-twice'],
    ['a good device that was refused', { view: failed('no (ca-rejected)') }, 'wrong-end'],
    ['an outcome that the journal tells otherwise', { outcome: 'gone' }, 'wrong-end'],
    ['two good certificates', { ledger: [certificate(), certificate()] }, 'surplus'],
    [
      'a certificate of a process that has gone',
      { group: 'gone at upload', outcome: 'gone', view: { ...delivered, state: 'gone' } },
      'surplus',
    ],
    [
      'a refusal for the wrong reason',
      {
        group: 'declined by the CA',
        outcome: 'refused',
        ledger: [],
        view: failed('Too late. (signing-timeout)'),
      },
      'wrong-end',
    ],
    ['an error nobody foresaw', { logLines: [{ ...orphan, event: 'bug' }] }, 'bug'],
    ['a late takeover', { lived: [died('a', 1_000), took('b', 16_001)] }, 'takeover'],
    [
      'a point that cannot be reached',
      { lived: [passed('claim api.setFailure before')] },
      'points',
    ],
    ['a point that nobody knows', { lived: [passed('claim api.forget before')] }, 'points'],
  ])('finds %s', (_what, given, kind) => {
    expect(kinds(given)).toEqual([kind]);
  });

  it('accepts a second certificate that is revoked, or that operators were told of', () => {
    expect(kinds({ ledger: [certificate(), certificate({ revoked: true })] })).toEqual([]);
    expect(kinds({ ledger: [certificate(), certificate()], logLines: [orphan] })).toEqual([]);
  });

  it('accepts a refusal for the right reason', () => {
    const view = failed('The certificate authority declined this request. (ca-rejected)');
    const refused = { group: 'declined by the CA', outcome: 'refused', ledger: [], view };
    expect(kinds(refused)).toEqual([]);
  });

  it('counts a takeover from the death to the next instance that takes the process', () => {
    const { takeovers } = judge(evidence({ lived: [died('a', 1_000), took('b', 6_500)] }));
    expect(takeovers).toMatchObject({ deathsWithWork: 1, p50Ms: 5_500, maxMs: 5_500 });
  });

  it('counts from when the process was due where the death fell into the write that lets it rest', () => {
    const resting = { at: 900, word: 'resting', what: id, dueAt: 14_000 } as const;
    const dying = died('a', 1_000);
    const unsure = { ...dying, trail: [...dying.trail, resting] };
    const { takeovers, breaches } = judge(evidence({ lived: [unsure, took('b', 16_001)] }));
    expect(takeovers).toMatchObject({ deathsWithWork: 1, maxMs: 2_001 });
    expect(breaches).toEqual([]);
    expect(kinds({ lived: [unsure, took('b', 29_001)] })).toEqual(['takeover']);
    const rested = { ...unsure, trail: [...unsure.trail, { ...resting, word: 'rest' } as const] };
    expect(kinds({ lived: [rested, took('b', 60_000)] })).toEqual([]);
  });

  it('counts from the point at which an instance died, however late that was noticed', () => {
    const dying = died('a', 9_000);
    const trail = [
      ...dying.trail,
      { at: 1_000, word: 'die', what: 'claim api.get before' } as const,
    ];
    const { takeovers } = judge(evidence({ lived: [{ ...dying, trail }, took('b', 6_500)] }));
    expect(takeovers).toMatchObject({ deathsWithWork: 1, maxMs: 5_500 });
  });

  it('does not count the time in which all others were dead or still starting', () => {
    const looks = { at: 15_000, word: 'pass', what: 'loops journal.takeDue before' } as const;
    const late = { ...took('b', 20_000), trail: [looks, ...took('b', 20_000).trail.slice(1)] };
    const { takeovers } = judge(evidence({ lived: [died('a', 1_000), late] }));
    expect(takeovers).toMatchObject({ deathsWithWork: 1, maxMs: 5_000 });
    const killed = { ...late, trail: [{ ...looks, at: 0 }], endedAt: 11_000, killed: true };
    const lived = [died('a', 1_000), { ...killed, instance: 'c' }, late];
    expect(kinds({ lived })).toEqual([]);
    expect(kinds({ lived: [...lived, { ...killed, instance: 'd', endedAt: 12_000 }] })).toEqual([
      'takeover',
    ]);
  });

  it('does not count what another instance had taken before, since the lease had run out', () => {
    // Under load b takes it, lets it rest for the pause before a second look, and takes it again.
    const [first, again] = [took('b', 950), took('b', 20_800)];
    const lived = [died('a', 1_000), { ...first, trail: [...first.trail, ...again.trail] }];
    expect(judge(evidence({ lived })).takeovers).toMatchObject({ deathsWithWork: 0, list: [] });
    expect(kinds({ lived })).toEqual([]);
    const before = { ...first, trail: [{ at: 400, word: 'take', what: id } as const] };
    expect(kinds({ lived: [died('a', 1_000), before, took('c', 20_800)] })).toEqual(['takeover']);
  });

  it('wants every reachable point hit where there were kills enough', () => {
    const reachable = points.filter(({ reach }) => reach === 'reachable');
    expect(kinds({ kills: 2 * reachable.length })).toHaveLength(reachable.length);
    const lived = reachable.map(({ name }) => passed(name, 'die'));
    expect(kinds({ kills: 2 * reachable.length, lived })).toEqual([]);
  });
});

function signed(signData: number): ProcessView {
  return { ...delivered, carriedOut: { ...calls, signData } };
}

function died(instance: string, endedAt: number): Lived {
  return { instance, endedAt, killed: true, trail: [{ at: 500, word: 'take', what: id }] };
}

function took(instance: string, at: number): Lived {
  const trail = [
    { at: 0, word: 'pass', what: 'loops journal.takeDue before' },
    { at, word: 'take', what: id },
    { at: at + 1, word: 'close', what: id },
  ] as const;
  return { instance, endedAt: undefined, killed: false, trail };
}

function passed(point: string, word: 'pass' | 'die' = 'pass'): Lived {
  return { instance: 'a', endedAt: 1, killed: true, trail: [{ at: 1, word, what: point }] };
}
