import { freshStanding, proven } from '../../src/authority/standing.ts';
import type { EventMap } from '../../src/events/events.ts';
import type { AuthorityStanding } from '../../src/journal/authority-standing.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { MemoryJournal } from '../../src/journal/memory-journal.ts';
import type { CertificateAuthority } from '../../src/plug-in/certificate-authority.ts';
import type { CertificateProfile } from '../../src/profile/profile.ts';
import { nameOfProfile } from '../../src/profile/profile-name.ts';
import type { Clock } from '../../src/time/clock.ts';
import { coveredTime } from '../covered-time.ts';
import type { DeviceSpecInput } from '../device-spec.ts';
import type { FaultChanges } from '../faults.ts';
import { notificationData } from '../notification.ts';
import type { SimulatedProcess } from '../simulated-process.ts';
import { WorldCa, type WorldCaOptions } from './ca.ts';
import { WorldGoogle } from './google.ts';
import { HeardEvents } from './heard-events.ts';
import { WorldInbox } from './inbox.ts';
import { Instance, type InstanceOptions, type Surroundings } from './instance.ts';
import { WorldJournal } from './journal.ts';
import { hourMs, Life, Scheduler, seededRandom, startOfTime } from './scheduler.ts';
import { type Fates, Wire } from './wire.ts';

/*
 * A world in one process: the real workers over the real lifecycle, with a journal, Google, devices, a queue
 * and CAs, on a clock that jumps from event to event. Every call between them goes over a wire on which its
 * fate is decided, by a scenario or by a seed.
 */

export interface WorldOptions extends InstanceOptions {
  readonly seed?: number;
  readonly fates?: Fates;
  readonly faults?: FaultChanges;
  /** By its reference in the configuration; one CA, `default_ca_config`, where nothing is said. */
  readonly cas?: Readonly<Record<string, Partial<Omit<WorldCaOptions, 'scheduler' | 'wire'>>>>;
  readonly store?: (scheduler: Scheduler) => Journal;
  readonly ackLost?: number;
  readonly trace?: ((line: string) => void) | undefined;
  /** The CAs have issued for every profile before this world began. */
  readonly proven?: boolean;
  /** The journal is one instance's own, and goes by its clock. */
  readonly ownStore?: boolean;
}

const profile: CertificateProfile = {
  subject: 'CN=${DEVICE_SERIAL_NUMBER:USER_EMAIL},O=World',
  subjectAltNames: [{ type: 'dns', value: '${DEVICE_SERIAL_NUMBER:USER_EMAIL}.world.example' }],
  keyUsages: ['digitalSignature'],
  extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'],
  validityDays: 365,
};

const never = new AbortController().signal;

/** Everything that there is, and the time that passes in it. */
export class World implements Surroundings {
  readonly scheduler = new Scheduler();
  readonly random: () => number;
  readonly wire: Wire;
  readonly google: WorldGoogle;
  readonly journal: WorldJournal;
  readonly inbox: WorldInbox;
  readonly cas = new Map<string, WorldCa>();
  readonly instances: Instance[] = [];
  readonly heard = new HeardEvents();
  // What follows is the configuration that instances are started with from now on.
  readonly profiles = new Map<string, CertificateProfile>([
    ['device_profile', profile],
    ['user_profile', profile],
  ]);
  /** CAs that it does not name. */
  readonly missing = new Set<string>();
  /** Other references under which a CA is configured. */
  readonly aliases = new Map<string, string>();
  /** What it says of the authorities, as a text. */
  configuration = 'the first';
  /** What issued certificates must chain to; empty: not checked. */
  roots: readonly Uint8Array[] = [];
  onDeath: (life: Life) => void = () => undefined;
  /** Processes whose message was acknowledged before the journal had them. */
  readonly lostMessages: string[] = [];
  readonly #options: WorldOptions;

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
    this.google = new WorldGoogle(scheduler, options.faults ?? {});
    const { ownStore = false } = options;
    const newest: Clock = {
      now: () => (this.instances.at(-1)?.clock ?? scheduler).now(),
      sleep: (forMs, signal) => scheduler.clockOf().sleep(forMs, signal),
    };
    const clock = ownStore ? newest : scheduler.clockOf();
    const store = options.store?.(scheduler) ?? new MemoryJournal(clock);
    this.journal = new WorldJournal({ scheduler, store, clock, isShared: !ownStore, without });
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
    const name = `instance-${this.instances.length + 1}`;
    const life = new Life(name, this.now, (dead) => {
      dead.diedAt = this.now;
      this.onDeath(dead);
    });
    life.set(aheadMs);
    const instance = new Instance(this, this.#options, life, wrap);
    // A journal of its own goes by the clock of the newest.
    this.instances.push(instance);
    instance.run();
    return instance;
  }

  /** For how long of this time there was an instance. */
  watchedMs(from: number, to: number): number {
    const lives = this.instances.map(({ life }) => ({ from: life.bornAt, to: life.diedAt }));
    return coveredTime(lives, from, to);
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
    return this.heard.of(name);
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
}
