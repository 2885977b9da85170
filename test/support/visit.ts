import { refusalGuard } from '../../simulator/world/refusal-guard.ts';
import { Authority } from '../../src/authority/authority.ts';
import type { RefusalGuard } from '../../src/authority/refusal-guard.ts';
import { type EventMap, Events } from '../../src/events/events.ts';
import type { ProvisioningApi } from '../../src/google/provisioning-api.ts';
import { aged } from '../../src/journal/age.ts';
import type { EntryChange, LeasedEntry } from '../../src/journal/journal.ts';
import { MemoryJournal } from '../../src/journal/memory-journal.ts';
import type { ProcessRecord } from '../../src/journal/process-record.ts';
import { LeasedVisit } from '../../src/lifecycle/leased-visit.ts';
import type {
  AuthorityFeatures,
  CertificateAuthority,
} from '../../src/plug-in/certificate-authority.ts';
import type { Step, Visit, VisitContext } from '../../src/visit/visit.ts';
import { type CaAnswers, type GoogleAnswers, Script } from './chosen-answers.ts';
import { ManualClock } from './manual-clock.ts';
import { ca as signingCa, wifi } from './sample-process.ts';

/*
 * One process, the visits to it, and a Google and a CA whose every answer is chosen. What is written and what is
 * asked stands in one list, in the order in which it happened: that order is what most promises are about.
 */

class NotedJournal extends MemoryJournal {
  note: (what: string, record: ProcessRecord) => void = () => undefined;
  /** What happens while a write is under way. */
  onWrite: () => void = () => undefined;

  override async save(leased: LeasedEntry, change: EntryChange, signal: AbortSignal) {
    await super.save(leased, change, signal);
    this.note(change.dueAt === undefined ? 'write' : 'rest', change.record);
    this.onWrite();
  }
}

export interface VisitOptions {
  /** What the journal holds when the first visit begins. */
  readonly record?: ProcessRecord;
  readonly customers?: readonly string[];
  readonly google?: GoogleAnswers;
  readonly ca?: CaAnswers;
  readonly features?: Partial<AuthorityFeatures>;
  readonly context?: Partial<VisitContext>;
}

export type Verb = (visit: Visit, context: VisitContext, signal: AbortSignal) => Promise<Step>;

const never = new AbortController().signal;
const leaseMs = 30_000;
const processId = 'process-1';

/** Visits to one process, one after the other. */
export class Visits {
  /** `write: claim` (what has changed in the record), `Google: claim`, `CA: issue`, in the order of time. */
  readonly happened: string[] = [];
  /** Every record that was written. */
  readonly written: ProcessRecord[] = [];
  readonly orphans: EventMap['orphan'][] = [];
  readonly clock: ManualClock;
  readonly events = new Events();
  readonly journal: NotedJournal;
  readonly authority: Authority;
  context: VisitContext;
  readonly #google: Script<keyof GoogleAnswers>;
  readonly #ca: Script<keyof CaAnswers>;
  readonly #guard: RefusalGuard;
  readonly #asked = new Map<string, (readonly unknown[])[]>();
  /** By how much the journal's clock is ahead: its leases have run out, and nobody knows. */
  #aheadMs = 0;
  #visit: LeasedVisit | undefined;

  private constructor(options: VisitOptions, clock: ManualClock) {
    this.clock = clock;
    this.journal = new NotedJournal({
      now: () => clock.now() + this.#aheadMs,
      sleep: (forMs, signal) => clock.sleep(forMs, signal),
    });
    const note = (call: string, asked: readonly unknown[]) => {
      this.happened.push(call);
      this.#asked.set(call, [...this.asked(call), asked]);
    };
    this.#google = new Script('Google', options.google ?? {}, note);
    this.#ca = new Script('CA', options.ca ?? {}, note);
    this.events.on('orphan', (orphan) => this.orphans.push(orphan));
    const random = () => 0.5;
    this.#guard = refusalGuard({ clock, random });
    this.authority = new Authority({
      reference: 'ca',
      adapter: this.#adapter(options.features),
      roots: [signingCa.root],
      mayDrop: [],
      concurrency: 1,
      longestLine: 1,
      timeoutMs: 60_000,
      guard: this.#guard,
      clock,
      random,
      events: this.events,
    });
    this.context = {
      api: this.#api(),
      authorities: new Map([['ca', this.authority]]),
      profiles: new Map([['wifi', wifi]]),
      scepDefaults: { extendedKeyUsages: [], validityDays: 365 },
      unmatched: 'hold',
      unmatchedDeadlineMs: 24 * 3_600_000,
      instance: 'instance-1',
      signingDeadlineMs: 24 * 3_600_000,
      issuingDeadlineMs: 24 * 3_600_000,
      clock,
      random,
      events: this.events,
      ...options.context,
    };
  }

  static async begin(options: VisitOptions = {}): Promise<Visits> {
    const visits = new Visits(options, new ManualClock());
    const { journal, clock } = visits;
    const { customers: [customer = 'C1', ...others] = [], record } = options;
    await journal.open({ customer, processId }, never);
    for (const other of others) await journal.open({ customer: other, processId }, never);
    if (record !== undefined) {
      const leased = await visits.#lease('earlier');
      await journal.save(leased, { record, room: 'claim', dueAt: clock.now() }, never);
    }
    let before: Readonly<Record<string, unknown>> = { ...record };
    journal.note = (what, written) => {
      const now: Readonly<Record<string, unknown>> = { ...written };
      const names = [...new Set([...Object.keys(before), ...Object.keys(now)])];
      const changed = names.filter(
        (name) => name !== 'age' && JSON.stringify(before[name]) !== JSON.stringify(now[name]),
      );
      before = now;
      visits.happened.push(`${what}: ${changed.join(', ') || 'nothing new'}`);
      visits.written.push(written);
    };
    await visits.#take();
    return visits;
  }

  get visit(): LeasedVisit {
    if (this.#visit === undefined) throw new Error('No visit has begun.');
    return this.#visit;
  }

  /** The arguments of each call, by what `happened` says of it. */
  asked(call: string): readonly (readonly unknown[])[] {
    return this.#asked.get(call) ?? [];
  }

  /** What was foreseen and never asked: nothing, in a test that says all. */
  get unasked(): string[] {
    return [...this.#google.left, ...this.#ca.left];
  }

  /** One step, by a room's verb. */
  async step(verb: Verb): Promise<Step> {
    const step = await verb(this.visit, this.context, this.visit.signal);
    this.visit.proceed(step.record);
    return step;
  }

  /** What another instance, or a changed configuration, makes of the visits from now on. */
  reconfigure(changes: Partial<VisitContext>): void {
    this.context = { ...this.context, ...changes };
  }

  /** From now on the CA's rejections are believed: it has issued for the profile. */
  async prove(): Promise<void> {
    await this.#guard.proven(this.visit.record.request?.profile ?? '');
  }

  /** Ends the visit and begins the next one after a rest. */
  async rest(forMs: number, record = this.visit.record): Promise<void> {
    const now = this.clock.now();
    await this.visit.rest(aged(record, now, forMs), now + forMs);
    this.clock.advance(forMs);
    await this.#take();
  }

  /** The instance ends without another word; when its lease has run out another takes over. */
  async crash(): Promise<void> {
    this.clock.advance(leaseMs);
    await this.#take();
  }

  /** Another instance takes the process over, although this one's lease has not run out by its own clock. */
  async overtake(): Promise<void> {
    this.#aheadMs += leaseMs;
    await this.#lease('rival');
  }

  async #take(): Promise<void> {
    const leased = await this.#lease('instance-1');
    const { journal, clock } = this;
    const takenAt = clock.now();
    this.#visit = new LeasedVisit({ journal, leased, leaseMs, takenAt, clock }, never);
  }

  async #lease(instance: string): Promise<LeasedEntry> {
    const [leased] = await this.journal.takeDue(instance, 1, leaseMs, never);
    if (leased === undefined) throw new Error('The process must be due.');
    return leased;
  }

  #api(): ProvisioningApi {
    const google = this.#google;
    return {
      get: (process) => google.call('get', [process.customer]),
      claim: (process, instance, leave) =>
        google.call('claim', [process.customer, instance], leave),
      signData: (_process, data, algorithm, leave) =>
        google.call('signData', [data, algorithm], leave),
      operation: (name) => google.call('operation', [name]),
      uploadCertificate: (_process, pem) => google.call('uploadCertificate', [pem]),
      setFailure: (_process, text) => google.call('setFailure', [text]),
      [Symbol.asyncDispose]: async () => undefined,
    };
  }

  #adapter(features: Partial<AuthorityFeatures> = {}): CertificateAuthority {
    const ca = this.#ca;
    return {
      kind: 'chosen',
      features: {
        idempotent: false,
        pending: true,
        revoke: true,
        keyTypes: ['ec'],
        mayDrop: [],
        ...features,
      },
      check: async () => undefined,
      ...(ca.has('prepare') ? { prepare: (request) => ca.call('prepare', [request]) } : {}),
      issue: (request) => ca.call('issue', [request]),
      collect: (ticket, request) => ca.call('collect', [ticket, request]),
      ...(features.revoke === false
        ? {}
        : { revoke: (certificate, reason) => ca.call('revoke', [certificate, reason]) }),
      [Symbol.asyncDispose]: async () => undefined,
    };
  }
}
