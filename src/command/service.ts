import { dirname, resolve } from 'node:path';
import type { Authority } from '../authority/authority.ts';
import { backup } from '../backup/backup.ts';
import { serveBackups } from '../backup/socket.ts';
import type { Config } from '../config/config.ts';
import { ChromeManagement } from '../google/chrome-management.ts';
import type { ProvisioningApi } from '../google/provisioning-api.ts';
import { type TokenWatchOptions, watchTokens } from '../google/token-watch.ts';
import { createTokenSource, type TokenSource } from '../google-auth/credentials.ts';
import type { Journal } from '../journal/journal.ts';
import { type JournalWatchOptions, watchJournal } from '../journal/journal-watch.ts';
import { MemoryJournal } from '../journal/memory-journal.ts';
import { openSqliteJournal } from '../journal/sqlite-journal.ts';
import { Worker } from '../lifecycle/worker.ts';
import type { Inbox } from '../notification/inbox.ts';
import { PubsubInbox } from '../notification/pubsub-inbox.ts';
import { readSecret } from '../plug-in/secret.ts';
import { startServer, type TelemetryServer } from '../telemetry/health.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import { ServiceState } from '../telemetry/service-state.ts';
import { CallBudget } from '../time/call-budget.ts';
import type { Clock } from '../time/clock.ts';
import type { VisitContext } from '../visit/visit.ts';
import { ClockWatch } from '../watch/clock-watch.ts';
import { keepWatching } from '../watch/keep-watching.ts';
import { clockConfirmed, watchClock } from './confirm-clock.ts';
import { connect, guardAuthority } from './connect-authority.ts';
import type { Decorate, ServiceContext } from './service-context.ts';

/*
 * Puts the service together from its configuration. Everything that is opened here is closed here, in the
 * reverse order, when the service is disposed.
 */

const undecorated: Decorate = {
  journal: (journal) => journal,
  api: (api) => api,
  authority: (adapter) => adapter,
  inbox: (inbox) => inbox,
};

export interface Service extends AsyncDisposable {
  /** Where /livez, /readyz and /metrics are served. */
  readonly port: number;
  readonly journal: Journal;
  /** Works until the signal is aborted and the visits are drained. */
  run(signal: AbortSignal): Promise<void>;
}

/** A worker whose loop has not come round for this long only a restart can help. */
const lifelessAfterMs = 60_000;

/**
 * A clock that is surely wrong is waited for before any authority is opened: what they make and remember at their
 * start has dates.
 *
 * @throws what makes a start impossible: an unusable journal, a taken port, an adapter that cannot connect.
 */
export async function openService(config: Config, outer: ServiceContext): Promise<Service> {
  const { events, monotonic = () => performance.now(), decorate = undecorated } = outer;
  await using opened = new AsyncDisposableStack();
  const state = new ServiceState(events, monotonic);
  events.emit('service', { state: 'starting' });
  const clock = new ClockWatch({ clock: outer.clock, monotonic, events });
  const context = { ...outer, clock };
  const journal = decorate.journal(opened.use(await openJournal(config, clock)));
  const tokens = createTokenSource(config.google.credentials, clock);
  const google = opened.use(openApi(config, context, tokens));
  const authorities = new Map<string, Authority>();
  let worker: Worker | undefined;
  const metrics = createMetrics(events, { summary: (inner) => journal.summary(inner) });
  const server: TelemetryServer = await startServer({
    host: config.server.host,
    port: config.server.port,
    metrics,
    readiness: () => state.readiness(authorities),
    livez: () => {
      if (worker === undefined) return { ok: true, detail: 'starting' };
      // A clock that was set back says as little of a worker that hangs as one that was set forward.
      const silentMs = Math.abs(clock.now() - worker.turnedAt);
      return { ok: silentMs < lifelessAfterMs, detail: `last turn ${Math.round(silentMs)} ms ago` };
    },
  });
  opened.use(server);
  opened.use(watchClock(clock, journal, google, events));
  if (config.journal.kind === 'sqlite') {
    const { path: journalPath } = config.journal;
    const home = dirname(resolve(journalPath));
    const make = (signal: AbortSignal) => backup(config, journal, home, signal);
    opened.use(await serveBackups({ journalPath, events, backup: make }));
  }
  await clockConfirmed(clock, context.signal);
  for (const [reference, authority] of config.authorities) {
    const part = { reference, authority, config, journal, context };
    const adapter = decorate.authority(opened.use(await connect(part)));
    authorities.set(reference, await guardAuthority(part, adapter));
  }
  const api = decorate.api(google);
  const inbox = decorate.inbox(opened.use(openInbox(config, context)));
  const visitContext = visitContextOf(config, api, authorities, context);
  const works = workerOf(config, visitContext, journal, inbox, clock);
  worker = works;
  const kept = opened.move();
  return {
    port: server.port,
    journal,
    run: (stop) => run(works, authorities, { journal, clock, events, tokens }, stop),
    [Symbol.asyncDispose]: async () => {
      await kept.disposeAsync();
      events.emit('service', { state: 'stopped' });
    },
  };
}

async function run(
  worker: Worker,
  authorities: ReadonlyMap<string, Authority>,
  watched: JournalWatchOptions & TokenWatchOptions & { readonly clock: ClockWatch },
  stop: AbortSignal,
): Promise<void> {
  const { events } = watched;
  const ended = new AbortController();
  const signal = AbortSignal.any([stop, ended.signal]);
  // A check may make something with a date, a CRL for one.
  const trusted = watched.clock.untilTrusted(signal);
  const keep = (watch: () => Promise<void>) => keepWatching(watch, watched, signal);
  const watches = [...authorities.values()].map((authority) =>
    trusted.then(
      () => keep(() => authority.watch(signal)),
      () => undefined, // It was stopped before.
    ),
  );
  watches.push(keep(() => watchJournal(watched, signal)));
  watches.push(keep(() => watchTokens(watched, signal)));
  const drain = () => events.emit('service', { state: 'draining' });
  stop.addEventListener('abort', drain, { once: true });
  events.emit('service', { state: 'running' });
  try {
    await worker.run(stop);
  } finally {
    stop.removeEventListener('abort', drain);
    ended.abort();
    await Promise.all(watches);
  }
}

async function openJournal(config: Config, clock: Clock): Promise<Journal> {
  const { journal } = config;
  switch (journal.kind) {
    case 'sqlite':
      return openSqliteJournal({ path: journal.path, clock });
    case 'postgres': {
      // Loaded only where it is used: it would cost every other start a twentieth of a second.
      const { openPostgresJournal } = await import('../journal/postgres-journal.ts');
      const { url, urlFile: file } = journal;
      const urlNow = file === undefined ? {} : { urlNow: () => readSecret({ file }, {}, '/') };
      return openPostgresJournal({ url, ...urlNow, clock });
    }
    case 'memory':
      return new MemoryJournal(clock);
    default:
      return journal satisfies never;
  }
}

function openApi(
  config: Config,
  { clock, random, events }: ServiceContext & { readonly clock: ClockWatch },
  tokens: TokenSource,
): ChromeManagement {
  const { endpoint, requestsPerSecond } = config.google;
  return new ChromeManagement({
    endpoint,
    tokens,
    budget: new CallBudget({ requestsPerSecond, clock }),
    events,
    clock,
    random,
    askingTime: () => clock.asking('google'),
  });
}

function openInbox({ pubsub, google }: Config, { events, clock, random }: ServiceContext): Inbox {
  const { credentials } = google;
  return new PubsubInbox({ ...pubsub, credentials, events, clock, random });
}

const hourMs = 3_600_000;

function visitContextOf(
  { profiles, scepProfiles, unmatched, instance, limits }: Config,
  api: ProvisioningApi,
  authorities: ReadonlyMap<string, Authority>,
  { clock, random, events }: ServiceContext,
): VisitContext {
  return {
    api,
    authorities,
    profiles,
    scepDefaults: scepProfiles,
    unmatched,
    unmatchedDeadlineMs: limits.unmatchedHours * hourMs,
    instance,
    signingDeadlineMs: limits.signingHours * hourMs,
    issuingDeadlineMs: limits.issuingHours * hourMs,
    clock,
    random,
    events,
  };
}

function workerOf(
  { limits, journal: times }: Config,
  context: VisitContext,
  journal: Journal,
  inbox: Inbox,
  trust: ClockWatch,
): Worker {
  return new Worker({
    trust,
    inbox,
    journal,
    context,
    visits: limits.visits,
    leaseMs: times.leaseSeconds * 1_000,
    drainMs: limits.drainSeconds * 1_000,
    retentionMs: times.retentionDays * 86_400_000,
  });
}
