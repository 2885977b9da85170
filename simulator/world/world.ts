import { Authority } from '../../src/authority/authority.ts';
import { freshStanding, proven } from '../../src/authority/standing.ts';
import { type EventMap, Events } from '../../src/events/events.ts';
import type { AuthorityStanding } from '../../src/journal/authority-standing.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { MemoryJournal } from '../../src/journal/memory-journal.ts';
import { Worker } from '../../src/lifecycle/worker.ts';
import type { CertificateAuthority } from '../../src/plug-in/certificate-authority.ts';
import type { CertificateProfile } from '../../src/profile/profile.ts';
import { nameOfProfile } from '../../src/profile/profile-name.ts';
import { CallBudget } from '../../src/time/call-budget.ts';
import type { Clock } from '../../src/time/clock.ts';
import type { VisitContext } from '../../src/visit/visit.ts';
import { blindTrust, ClockWatch } from '../../src/watch/clock-watch.ts';
import type { DeviceSpecInput } from '../device-spec.ts';
import type { FaultChanges } from '../faults.ts';
import { notificationData } from '../notification.ts';
import type { SimulatedProcess } from '../simulated-process.ts';
import { WorldCa, type WorldCaOptions } from './ca.ts';
import { WorldGoogle } from './google.ts';
import { WorldInbox } from './inbox.ts';
import { type Safeguard, WorldJournal } from './journal.ts';
import { markOf, refusalGuard } from './refusal-guard.ts';
import { Life, Scheduler, seededRandom, startOfTime } from './scheduler.ts';
import { type Fates, Wire } from './wire.ts';

/*
 * A world in one process: the real workers over the real lifecycle, with a journal, Google, devices, a queue
 * and CAs, on a clock that jumps from event to event. Every call between them goes over a wire on which its
 * fate is decided, by a scenario or by a seed.
 */

export interface WorldOptions {
  readonly seed?: number;
  readonly fates?: Fates;
  readonly faults?: FaultChanges;
  /** By its reference in the configuration; one CA, `default_ca_config`, where nothing is said. */
  readonly cas?: Readonly<Record<string, Partial<Omit<WorldCaOptions, 'scheduler' | 'wire'>>>>;
  readonly store?: (scheduler: Scheduler) => Journal;
  readonly without?: Safeguard | undefined;
  readonly ackLost?: number;
  readonly trace?: ((line: string) => void) | undefined;
  readonly leaseMs?: number;
  readonly drainMs?: number;
  readonly visits?: number;
  readonly unmatched?: VisitContext['unmatched'];
  /** Of every authority. */
  readonly requestsPerSecond?: number;
  readonly concurrency?: number;
  readonly issuingHours?: number;
  /** The CAs have issued for every profile before this world began. */
  readonly proven?: boolean;
  /** The journal is one instance's own, and goes by its clock. */
  readonly ownStore?: boolean;
  /** Authorities trust only the CA's own root. */
  readonly checksChain?: boolean;
}

/** One running worker. */
export interface Instance {
  readonly life: Life;
  /** What it takes for the time of day. */
  readonly clock: Clock;
  readonly stop: AbortController;
  /** Settled with undefined, or with what the worker failed with. */
  ended: { readonly error?: unknown } | undefined;
  readonly authorities: Map<string, Authority>;
}

type Heard = { [Name in keyof EventMap]: readonly [Name, EventMap[Name]] }[keyof EventMap];

const profile: CertificateProfile = {
  subject: 'CN=${DEVICE_SERIAL_NUMBER:USER_EMAIL},O=World',
  subjectAltNames: [{ type: 'dns', value: '${DEVICE_SERIAL_NUMBER:USER_EMAIL}.world.example' }],
  keyUsages: ['digitalSignature'],
  extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'],
  validityDays: 365,
};

export const hourMs = 3_600_000;
const never = new AbortController().signal;

export class World {
  readonly scheduler = new Scheduler();
  readonly random: () => number;
  readonly wire: Wire;
  readonly google: WorldGoogle;
  readonly journal: WorldJournal;
  readonly inbox: WorldInbox;
  readonly cas = new Map<string, WorldCa>();
  readonly instances: Instance[] = [];
  readonly heard: Heard[] = [];
  /** Profiles and authorities that instances are started with from now on. */
  readonly profiles = new Map<string, CertificateProfile>([
    ['device_profile', profile],
    ['user_profile', profile],
  ]);
  readonly missing = new Set<string>();
  /** Other references under which a CA is configured. */
  readonly aliases = new Map<string, string>();
  /** What the authorities' configuration says: instances are started with it from now on. */
  configuration = 'the first';
  /** What issued certificates must chain to; empty: not checked. */
  roots: readonly Uint8Array[] = [];
  onDeath: (life: Life) => void = () => undefined;
  /** Processes whose message was acknowledged before the journal had them. */
  readonly lostMessages: string[] = [];
  readonly #options: WorldOptions;
  #started = 0;

  constructor(options: WorldOptions = {}) {
    this.#options = options;
    const { seed = 1, without, trace } = options;
    const { scheduler } = this;
    this.random = seededRandom(seed);
    const tell =
      trace === undefined
        ? undefined
        : (line: string) =>
            trace(`${((scheduler.now() - startOfTime) / 1_000).toFixed(3)} ${line}`);
    this.wire = new Wire({ scheduler, fates: options.fates ?? (() => ({})), trace: tell });
    const { wire } = this;
    const writesLast = without !== 'write-last';
    this.google = new WorldGoogle({ scheduler, wire, writesLast, faults: options.faults ?? {} });
    const { ownStore = false } = options;
    const newest: Clock = {
      now: () => (this.instances.at(-1)?.clock ?? scheduler).now(),
      sleep: (forMs, signal) => scheduler.clockOf().sleep(forMs, signal),
    };
    const clock = ownStore ? newest : scheduler.clockOf();
    const store = options.store?.(scheduler) ?? new MemoryJournal(clock);
    this.journal = new WorldJournal({
      scheduler,
      wire,
      store,
      clock,
      isShared: !ownStore,
      without,
    });
    scheduler.nextWorkAt = () => this.journal.nextWorkAt();
    this.inbox = new WorldInbox({
      scheduler,
      random: this.random,
      ackLost: options.ackLost ?? 0,
      onAcknowledge: (processId) => {
        if (!this.journal.kept.has(processId)) this.lostMessages.push(processId);
      },
    });
    for (const [name, ca] of Object.entries(options.cas ?? { default_ca_config: {} })) {
      this.cas.set(name, new WorldCa({ scheduler, wire, idempotent: true, ...ca }));
      if (options.proven === true) void store.writeStanding(name, this.#proven(), 0, never);
    }
  }

  get now(): number {
    return this.scheduler.now();
  }

  ca(name = 'default_ca_config'): WorldCa {
    const ca = this.cas.get(name);
    if (ca === undefined) throw new Error(`There is no CA ${name}.`);
    return ca;
  }

  /** Adds a device whose process is announced after `afterMs`, as often as said. */
  add(input: DeviceSpecInput = {}, announcements = 1, afterMs = 0): SimulatedProcess {
    const process = this.google.add({ key: 'ec', ...input });
    const body = notificationData(process.id, process.spec.customer, 'binary', 0);
    for (let times = 0; times < announcements; times += 1) {
      this.inbox.publish(process.id, body, afterMs + times * 20);
    }
    return process;
  }

  /** Starts a worker and its authorities' watches, on a machine whose clock is ahead by so much. */
  start(
    wrap: (ca: CertificateAuthority) => CertificateAuthority = (ca) => ca,
    aheadMs = 0,
  ): Instance {
    this.#started += 1;
    const name = `instance-${this.#started}`;
    const life = new Life(name, this.now, (dead) => {
      dead.diedAt = this.now;
      this.onDeath(dead);
    });
    life.set(aheadMs);
    const events = this.#events(life);
    const machine = this.scheduler.clockOf(life);
    const monotonic = this.scheduler.monotonicOf(life);
    const watch = new ClockWatch({ clock: machine, monotonic, events });
    const blind = this.#options.without === 'clock-trust';
    const clock: Clock = blind ? machine : watch;
    const context = this.#context(life, clock, watch, events, wrap);
    const { leaseMs = 30_000, drainMs = 20_000, visits = 50 } = this.#options;
    const worker = new Worker({
      inbox: this.inbox.viewOf(life),
      journal: this.journal.viewOf(life, clock),
      trust: blind ? blindTrust : watch,
      context,
      visits,
      leaseMs,
      drainMs,
      retentionMs: 90 * 24 * hourMs,
    });
    const stop = new AbortController();
    const instance: Instance = {
      life,
      clock,
      stop,
      ended: undefined,
      authorities: new Map(context.authorities),
    };
    this.instances.push(instance);
    this.#watch(life, watch, events);
    worker.run(stop.signal).then(
      () => {
        instance.ended = {};
      },
      (error: unknown) => {
        instance.ended = { error };
      },
    );
    for (const authority of context.authorities.values()) void authority.watch(stop.signal);
    return instance;
  }

  /** As ClockWatch.run(), but asleep while nothing is in doubt: a tick a second would be most of a history. */
  #watch(life: Life, watch: ClockWatch, events: Events): void {
    let isAsking = false;
    const ask = () => {
      isAsking = false;
      this.google.dateOf()(watch.asking('google'));
      if (this.journal.options.isShared) watch.asking('journal')(this.journal.now(), 1);
      if (watch.problem !== undefined) askSoon();
    };
    const askSoon = () => {
      if (!isAsking) this.scheduler.after(2_000, ask, life);
      isAsking = true;
    };
    events.on('clock', ({ right }) => {
      if (!right) askSoon();
    });
    ask();
  }

  /** For how long of this time there was an instance. */
  watchedMs(from: number, to: number): number {
    let ms = 0;
    let until = from;
    for (const { life } of this.instances.toSorted((a, b) => a.life.bornAt - b.life.bornAt)) {
      const start = Math.max(until, life.bornAt);
      const end = Math.min(to, life.diedAt);
      if (end <= start) continue;
      ms += end - start;
      until = end;
    }
    return ms;
  }

  /** Lets time pass until every announced process is closed, but at most `forMs`. */
  async untilClosed(forMs = 48 * hourMs): Promise<void> {
    await this.scheduler.run(() => this.isOver, this.now + forMs);
  }

  async pass(forMs: number): Promise<void> {
    await this.scheduler.run(() => false, this.now + forMs);
  }

  async until(isSo: () => boolean, forMs = 48 * hourMs): Promise<void> {
    await this.scheduler.run(isSo, this.now + forMs);
  }

  get isOver(): boolean {
    if (!this.inbox.isEmpty) return false;
    for (const { closing } of this.journal.kept.values()) if (closing === undefined) return false;
    return true;
  }

  /** How a process ended: its outcome, and the code where there is one. */
  outcome(process: SimulatedProcess): string {
    const closing = this.journal.kept.get(process.id)?.closing;
    if (closing === undefined) return 'open';
    return closing.code === undefined ? closing.outcome : `${closing.outcome} ${closing.code}`;
  }

  heardOf<Name extends keyof EventMap>(name: Name): EventMap[Name][] {
    return this.heard.flatMap(([heard, data]) => (heard === name ? [data as EventMap[Name]] : []));
  }

  /** Nothing in this world ever happens again. */
  end(): void {
    this.onDeath = () => undefined;
    for (const { life, stop } of this.instances) {
      life.die();
      // Node keeps a combined signal that somebody listens to until it is aborted, and with it this world.
      stop.abort();
    }
  }

  #proven(): AuthorityStanding {
    return [...this.profiles].reduce(
      (standing, [name, each]) => proven(standing, nameOfProfile(name, each)),
      freshStanding(this.configuration),
    );
  }

  #context(
    life: Life,
    clock: Clock,
    watch: ClockWatch,
    events: Events,
    wrap: (ca: CertificateAuthority) => CertificateAuthority,
  ): VisitContext {
    const { unmatched = 'refuse', issuingHours = 72 } = this.#options;
    const { random } = this;
    const { requestsPerSecond, concurrency = 8, visits = 50, checksChain = false } = this.#options;
    const authorities = new Map<string, Authority>();
    // An instance keeps the configuration that it was started with.
    const { configuration } = this;
    for (const [reference, ca] of this.cas) {
      if (this.missing.has(reference)) continue;
      authorities.set(
        reference,
        new Authority({
          reference,
          adapter: wrap(ca.adapterOf(life)),
          roots: checksChain ? [ca.root] : this.roots,
          mayDrop: [],
          concurrency,
          longestLine: Math.ceil(visits / 4),
          ...(requestsPerSecond === undefined
            ? {}
            : { budget: new CallBudget({ requestsPerSecond, burst: 1, clock }) }),
          timeoutMs: 30_000,
          clock,
          random,
          events,
          guard: refusalGuard({
            reference,
            clock,
            random,
            store: this.journal.viewOf(life, clock),
            mark: markOf(() => configuration),
          }),
        }),
      );
    }
    for (const [alias, name] of this.aliases) {
      const authority = authorities.get(name);
      if (authority !== undefined) authorities.set(alias, authority);
    }
    return {
      api: this.google.apiOf(life, () => watch.asking('google')),
      authorities,
      profiles: this.profiles,
      scepDefaults: { extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'], validityDays: 365 },
      unmatched,
      unmatchedDeadlineMs: 24 * hourMs,
      instance: life.name,
      signingDeadlineMs: 24 * hourMs,
      issuingDeadlineMs: issuingHours * hourMs,
      clock,
      random,
      events,
    };
  }

  #events(life: Life): Events {
    const events = new Events();
    const listen = <Name extends keyof EventMap>(name: Name) => {
      const hear = (data: EventMap[Name]) => {
        if (!life.dead) this.heard.push([name, data] as unknown as Heard);
      };
      (events.on as (name: string, listener: typeof hear) => void).call(events, name, hear);
    };
    for (const name of ['bug', 'orphan', 'trouble', 'journal', 'authority', 'closed'] as const) {
      listen(name);
    }
    listen('unmatched');
    listen('unsigned');
    listen('notification');
    return events;
  }
}
