import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Events } from '../events/events.ts';
import type { JournalSummary } from '../journal/journal.ts';
import { systemClock } from '../time/clock.ts';
import { withDeadline } from '../time/deadline.ts';

export interface MetricsOptions {
  /** Counts what is open; asked when somebody scrapes, at most once a second. */
  readonly summary: (signal: AbortSignal) => Promise<JournalSummary>;
  /** Milliseconds since whenever, by a clock that is never set. */
  readonly now?: () => number;
}

export interface Metrics {
  readonly contentType: string;
  /** The metrics in Prometheus' text format. */
  render(): Promise<string>;
}

/** How long a summary is good for, and how long one may take. */
const summaryAgeMs = 1_000;
const summaryDeadlineMs = 3_000;

/** A label that comes from outside (an authority's reference) takes this many values at most. */
const mostLabelValues = 200;

const callBuckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** From a prompt device to one that was switched off for days. */
const stageBuckets = [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 28_800, 86_400, 259_200];

/** Counts what happens, in its own registry. The names are a promise to users. */
export function createMetrics(events: Events, options: MetricsOptions): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  countProcesses(events, registry);
  countGoogle(events, registry);
  countAuthorities(events, registry);
  countService(events, registry);
  measureOpenProcesses(registry, options);
  let rendering: Promise<string> | undefined;
  const render = () => {
    // Callers at the same moment get the same text.
    rendering ??= registry.metrics().finally(() => {
      rendering = undefined;
    });
    return rendering;
  };
  return { contentType: registry.contentType, render };
}

function countProcesses(events: Events, registry: Registry): void {
  const registers = [registry];
  const notifications = new Counter({
    name: 'certprov_notifications_total',
    help: 'Messages from the queue: opened, known, unreadable, or unwritten (delivered again later).',
    labelNames: ['result'],
    registers,
  });
  for (const result of ['opened', 'known', 'unreadable', 'unwritten']) {
    notifications.inc({ result }, 0);
  }
  events.on('notification', ({ result }) => notifications.inc({ result }));

  const processes = new Counter({
    name: 'certprov_processes_total',
    help: 'Processes that ended: delivered, refused, yielded (claimed by another) or gone.',
    labelNames: ['authority', 'outcome', 'code'],
    registers,
  });
  const authorityLabel = boundedLabel();
  events.on('closed', ({ authority, outcome, code }) => {
    // A reference that is not configured may be anything.
    const known = code === 'authority-unknown' ? undefined : authority;
    processes.inc({ authority: authorityLabel(known), outcome, code: code ?? '' });
  });

  const stages = new Histogram({
    name: 'certprov_stage_seconds',
    help: 'Time that processes spent in a stage before they left it.',
    labelNames: ['stage'],
    buckets: stageBuckets,
    registers,
  });
  events.on('stage', ({ room, seconds }) => stages.observe({ stage: room }, seconds));

  const troubles = new Counter({
    name: 'certprov_troubles_total',
    help: 'Visits that met an error and left the process open, by the error’s code.',
    labelNames: ['authority', 'code'],
    registers,
  });
  events.on('trouble', ({ authority, code }) =>
    troubles.inc({ authority: authorityLabel(authority), code }),
  );
}

function countGoogle(events: Events, registry: Registry): void {
  const registers = [registry];
  const requests = new Counter({
    name: 'certprov_google_requests_total',
    help: 'Calls to Google by method and HTTP status (error: no answer came).',
    labelNames: ['method', 'status'],
    registers,
  });
  const seconds = new Histogram({
    name: 'certprov_google_request_seconds',
    help: 'Time that calls to Google took.',
    labelNames: ['method'],
    buckets: callBuckets,
    registers,
  });
  events.on('googleRequest', (request) => {
    const { method, status } = request;
    const isStatus = typeof status === 'number' && status >= 100 && status <= 599;
    requests.inc({ method, status: isStatus ? String(status) : 'error' });
    seconds.observe({ method }, request.seconds);
  });
}

function countAuthorities(events: Events, registry: Registry): void {
  const registers = [registry];
  const requests = new Counter({
    name: 'certprov_ca_requests_total',
    help: 'Calls to authorities by result: ok, pending, rejected, or the error’s code.',
    labelNames: ['authority', 'call', 'result'],
    registers,
  });
  const seconds = new Histogram({
    name: 'certprov_ca_request_seconds',
    help: 'Time that calls to authorities took.',
    labelNames: ['authority', 'call'],
    buckets: callBuckets,
    registers,
  });
  const up = new Gauge({
    name: 'certprov_authority_up',
    help: '1 while the authority is up, 0 while it is down or held.',
    labelNames: ['authority'],
    registers,
  });
  const held = new Gauge({
    name: 'certprov_authority_held',
    help: '1 while orders wait because the authority’s rejections are not believed (rejected), its answers not understood (unanswered), or its certificates fail their check (failing).',
    labelNames: ['authority', 'reason'],
    registers,
  });
  const orphans = new Counter({
    name: 'certprov_orphans_total',
    help: 'Certificates that were issued and will not be delivered, by whether they were revoked.',
    labelNames: ['authority', 'revoked'],
    registers,
  });
  const authorityLabel = boundedLabel();
  const resultLabel = boundedLabel();
  const told = new Set<string>();
  const tellState = (authority: string, isUp: boolean) => {
    told.add(authority);
    up.set({ authority }, isUp ? 1 : 0);
  };
  events.on('caRequest', (request) => {
    const authority = authorityLabel(request.authority);
    const { call, result } = request;
    requests.inc({ authority, call, result: resultLabel(result) });
    // Its own event comes only with a change: before the first one, an answer says that it is up.
    if (result === 'ok' && !told.has(authority)) tellState(authority, true);
    seconds.observe({ authority, call }, request.seconds);
  });
  events.on('authority', (state) => {
    const authority = authorityLabel(state.authority);
    tellState(authority, state.up);
    for (const reason of ['rejected', 'unanswered', 'failing']) {
      held.set({ authority, reason }, state.held === reason ? 1 : 0);
    }
  });
  events.on('orphan', ({ authority, revoked }) =>
    orphans.inc({ authority: authorityLabel(authority), revoked: String(revoked) }),
  );
}

function countService(events: Events, registry: Registry): void {
  const registers = [registry];
  const bugs = new Counter({
    name: 'certprov_bugs_total',
    help: 'Errors that nobody foresaw. Anything but 0 is worth a report.',
    registers,
  });
  const inbox = new Gauge({
    name: 'certprov_inbox_up',
    help: '1 while the connection to the queue stands.',
    registers,
  });
  const journal = new Gauge({
    name: 'certprov_journal_up',
    help: '1 while the journal can be read and written.',
    registers,
  });
  journal.set(1);
  events.on('bug', () => bugs.inc());
  events.on('inbox', ({ up }) => inbox.set(up ? 1 : 0));
  events.on('journal', ({ up }) => journal.set(up ? 1 : 0));
}

function measureOpenProcesses(registry: Registry, options: MetricsOptions): void {
  const now = options.now ?? (() => performance.now());
  let countedAt = Number.NEGATIVE_INFINITY;
  new Gauge({
    name: 'certprov_open_processes',
    help: 'Processes that are written down and not ended, by the stage they wait in.',
    labelNames: ['stage'],
    registers: [registry],
    async collect() {
      if (now() - countedAt < summaryAgeMs) return;
      countedAt = now();
      try {
        const summary = await withDeadline(
          systemClock,
          summaryDeadlineMs,
          new AbortController().signal,
          options.summary,
        );
        for (const [stage, count] of Object.entries(summary.open)) this.set({ stage }, count);
      } catch {
        // The journal's own event reports its failure. No figure is better than an old one.
        this.reset();
      }
    },
  });
}

/** Keeps the number of a label's values bounded: what comes too late is called `other`. */
function boundedLabel(): (value: string | undefined) => string {
  const seen = new Set<string>();
  return (value) => {
    if (value === undefined) return '';
    if (seen.has(value)) return value;
    if (seen.size === mostLabelValues) return 'other';
    seen.add(value);
    return value;
  };
}
