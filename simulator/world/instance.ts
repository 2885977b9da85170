import type { Authority } from '../../src/authority/authority.ts';
import type { Events } from '../../src/events/events.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { Worker } from '../../src/lifecycle/worker.ts';
import type { CertificateAuthority } from '../../src/plug-in/certificate-authority.ts';
import type { CertificateProfile } from '../../src/profile/profile.ts';
import type { Clock, Random } from '../../src/time/clock.ts';
import type { VisitContext } from '../../src/visit/visit.ts';
import { blindTrust } from '../../src/watch/clock-trust.ts';
import { ClockWatch } from '../../src/watch/clock-watch.ts';
import { authoritiesOf } from './authorities.ts';
import type { WorldCa } from './ca.ts';
import type { WorldGoogle } from './google.ts';
import { WorldApi } from './google-api.ts';
import type { HeardEvents } from './heard-events.ts';
import type { WorldInbox } from './inbox.ts';
import type { WorldJournal } from './journal.ts';
import { JournalView } from './journal-view.ts';
import type { Safeguard } from './safeguards.ts';
import { hourMs, type Life, type Scheduler } from './scheduler.ts';
import type { Wire } from './wire.ts';

export interface InstanceOptions {
  readonly without?: Safeguard | undefined;
  readonly leaseMs?: number;
  readonly drainMs?: number;
  readonly visits?: number;
  readonly unmatched?: VisitContext['unmatched'];
  /** Of every authority. */
  readonly requestsPerSecond?: number;
  readonly concurrency?: number;
  readonly issuingHours?: number;
  /** Authorities trust only the CA's own root. */
  readonly checksChain?: boolean;
}

/** What an instance finds around it, and the configuration that it is started with. */
export interface Surroundings {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly wire: Wire;
  readonly google: WorldGoogle;
  readonly journal: WorldJournal;
  readonly inbox: WorldInbox;
  readonly heard: HeardEvents;
  readonly cas: ReadonlyMap<string, WorldCa>;
  readonly profiles: ReadonlyMap<string, CertificateProfile>;
  readonly missing: ReadonlySet<string>;
  readonly aliases: ReadonlyMap<string, string>;
  readonly configuration: string;
  readonly roots: readonly Uint8Array[];
}

type Wrap = (ca: CertificateAuthority) => CertificateAuthority;

/** One worker with its authorities and their watches, on a machine of its own. */
export class Instance {
  readonly life: Life;
  /** What it takes for the time of day. */
  readonly clock: Clock;
  readonly authorities: Map<string, Authority>;
  readonly stop = new AbortController();
  /** Set when the worker has ended, with what it failed with. */
  ended: { readonly error?: unknown } | undefined;
  readonly #world: Surroundings;
  readonly #options: InstanceOptions;
  readonly #events: Events;
  readonly #watch: ClockWatch;
  readonly #worker: Worker;

  constructor(world: Surroundings, options: InstanceOptions, life: Life, wrap: Wrap) {
    this.#world = world;
    this.#options = options;
    this.life = life;
    const { scheduler, inbox, wire } = world;
    const { without, leaseMs = 30_000, drainMs = 20_000, visits = 50 } = options;
    this.#events = world.heard.eventsOf(life);
    const machine = scheduler.clockOf(life);
    const monotonic = scheduler.monotonicOf(life);
    this.#watch = new ClockWatch({ clock: machine, monotonic, events: this.#events });
    const isBlind = without === 'clock-trust';
    this.clock = isBlind ? machine : this.#watch;
    const journal = new JournalView({ journal: world.journal, wire, life, clock: this.clock });
    this.authorities = this.#authorities(wrap, journal, visits);
    this.#worker = new Worker({
      inbox: inbox.viewOf(life),
      journal,
      trust: isBlind ? blindTrust : this.#watch,
      context: this.#visitContext(machine),
      visits,
      leaseMs,
      drainMs,
      retentionMs: 90 * 24 * hourMs,
    });
  }

  run(): void {
    const { signal } = this.stop;
    this.#watchClock();
    this.#worker.run(signal).then(
      () => {
        this.ended = {};
      },
      (error: unknown) => {
        this.ended = { error };
      },
    );
    for (const authority of this.authorities.values()) void authority.watch(signal);
  }

  /** As ClockWatch.run(), but asleep while nothing is in doubt: a tick a second would be most of a history. */
  #watchClock(): void {
    const { google, journal, scheduler } = this.#world;
    const watch = this.#watch;
    let isAsking = false;
    const ask = () => {
      isAsking = false;
      google.dateOf()(watch.asking('google'));
      if (journal.options.isShared) watch.asking('journal')(journal.now(), 1);
      if (watch.problem !== undefined) askSoon();
    };
    const askSoon = () => {
      if (!isAsking) scheduler.after(2_000, ask, this.life);
      isAsking = true;
    };
    this.#events.on('clock', ({ right }) => {
      if (!right) askSoon();
    });
    ask();
  }

  #authorities(wrap: Wrap, store: Journal, visits: number): Map<string, Authority> {
    const { cas, missing, aliases, configuration, roots, random } = this.#world;
    const { requestsPerSecond, concurrency = 8, checksChain = false } = this.#options;
    return authoritiesOf({
      cas: new Map([...cas].filter(([reference]) => !missing.has(reference))),
      aliases,
      configuration,
      rootsOf: (ca) => (checksChain ? [ca.root] : roots),
      wrap,
      life: this.life,
      clock: this.clock,
      random,
      events: this.#events,
      store,
      concurrency,
      longestLine: Math.ceil(visits / 4),
      requestsPerSecond,
    });
  }

  #visitContext(machine: Clock): VisitContext {
    const { google, wire, profiles, random } = this.#world;
    const { unmatched = 'refuse', issuingHours = 72, without } = this.#options;
    const { life, clock, authorities } = this;
    const api = new WorldApi({
      google,
      wire,
      life,
      clock: machine,
      askingTime: () => this.#watch.asking('google'),
      writesLast: without !== 'write-last',
    });
    return {
      api,
      authorities,
      profiles,
      scepDefaults: { extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'], validityDays: 365 },
      unmatched,
      unmatchedDeadlineMs: 24 * hourMs,
      instance: life.name,
      signingDeadlineMs: 24 * hourMs,
      issuingDeadlineMs: issuingHours * hourMs,
      clock,
      random,
      events: this.#events,
    };
  }
}
