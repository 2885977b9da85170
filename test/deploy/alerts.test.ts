import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { isErrorCode } from '../../src/errors.ts';
import { Events } from '../../src/events/events.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';

const root = resolve(import.meta.dirname, '../..');
const operations = readFileSync(join(root, 'docs/run/operations.md'), 'utf8');

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string };
}

const file: { groups: { name: string; rules: Alert[] }[] } = parse(
  readFileSync(join(root, 'deploy/prometheus/alerts.yaml'), 'utf8'),
);
const alerts = file.groups.flatMap(({ rules }) => rules);

/** Each metric with the labels of its samples, after one of every event. */
const metrics = new Map<string, Set<string>>();

beforeAll(async () => {
  for (const line of (await everyMetric()).split('\n')) {
    const [, name, labels = ''] = /^(certprov_\w+)(?:\{(.*)\})? /.exec(line) ?? [];
    if (name === undefined) continue;
    const known = metrics.get(name) ?? new Set();
    for (const [, label = ''] of labels.matchAll(/(\w+)="/g)) known.add(label);
    metrics.set(name, known);
  }
});

function everyMetric(): Promise<string> {
  const events = new Events();
  const { render } = createMetrics(events, {
    summary: async () => ({ open: { claim: 1, possession: 1, issue: 1, deliver: 1 }, closed: 0 }),
  });
  const processId = 'p';
  const authority = 'ca';
  const code = 'ca-unavailable';
  events.emit('closed', { processId, outcome: 'refused', authority, code, seconds: 1 });
  events.emit('stage', { processId, room: 'claim', seconds: 1 });
  events.emit('trouble', {
    processId,
    room: 'issue',
    code,
    message: 'm',
    againInMs: 1,
    authority,
  });
  events.emit('googleRequest', { method: 'get', status: 200, seconds: 1 });
  events.emit('caRequest', { authority, call: 'issue', result: 'ok', seconds: 1 });
  events.emit('authority', { authority, up: false, held: 'rejected', code, message: 'm' });
  events.emit('orphan', { processId, authority, revoked: false, message: 'm' });
  events.emit('inbox', { up: true });
  return render();
}

/** Every use of a metric of ours in an expression, with its selectors. */
function uses(expr: string) {
  return [...expr.matchAll(/(certprov_\w+)(?:\{([^}]*)\})?/g)].map(
    ([, name = '', inside = '']) => ({
      name,
      selectors: [...inside.matchAll(/(\w+)(=~|!~|!=|=)"([^"]*)"/g)].map(
        ([, label = '', operator = '', value = '']) => ({ label, operator, value }),
      ),
    }),
  );
}

describe.each(alerts)('the alert $alert', ({ alert, expr, labels, annotations }) => {
  it('uses metrics and labels that there are', () => {
    const used = uses(expr);
    expect(used.length + expr.split('up{job="certprov"}').length - 1).toBeGreaterThan(0);
    for (const { name, selectors } of used) {
      expect([...metrics.keys()]).toContain(name);
      for (const { label } of selectors) expect([...(metrics.get(name) ?? [])]).toContain(label);
    }
    const ours = new Set(used.flatMap(({ name }) => [...(metrics.get(name) ?? [])]));
    for (const [, list = ''] of expr.matchAll(/by \(([^)]*)\)/g)) {
      for (const label of list.split(',').map((one) => one.trim())) {
        expect([...ours, 'instance']).toContain(label);
      }
    }
  });

  it('looks for values that can occur', () => {
    for (const { selectors } of uses(expr)) {
      for (const { label, operator, value } of selectors) {
        if (operator === '=') expect(possible(label, value), `${label}="${value}"`).toBe(true);
      }
    }
  });

  it('says how bad it is and what it means, and is explained in docs/run/operations.md', () => {
    expect(labels.severity).toMatch(/^(critical|warning)$/);
    expect(annotations.summary).toMatch(/\.$|\?$|rights\.$/);
    expect(operations).toContain(`| \`${alert}\` |`);
  });
});

function possible(label: string, value: string): boolean {
  const values: Readonly<Record<string, readonly string[]>> = {
    result: ['opened', 'known', 'unreadable', 'unwritten'],
    outcome: ['delivered', 'refused', 'yielded', 'gone'],
    stage: ['claim', 'possession', 'issue', 'deliver'],
    revoked: ['true', 'false'],
    reason: ['rejected', 'unanswered', 'failing'],
  };
  return label === 'code' ? isErrorCode(value) : (values[label]?.includes(value) ?? false);
}

it('has an alert for each name in docs/run/operations.md, once', () => {
  const named = [...operations.matchAll(/^\| `(Certprov\w+)` \|/gm)].map(([, name]) => name);
  expect(named).toEqual(alerts.map(({ alert }) => alert));
});

it('docs/run/operations.md names only metrics that there are', () => {
  const bases = new Set(
    [...metrics.keys()].map((name) => name.replace(/_(bucket|sum|count)$/, '')),
  );
  const named = [...operations.matchAll(/`(certprov_\w+)/g)].map(([, name = '']) => name);
  expect(named.filter((name) => !bases.has(name) && !metrics.has(name))).toEqual([]);
});
