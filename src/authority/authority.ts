import { ProvisioningError } from '../errors.ts';
import type { CaCall } from '../events/events.ts';
import type {
  AuthorityFeatures,
  CertificateAuthority,
  Collected,
  CsrAdditions,
  DroppablePart,
  Issuance,
  IssueRequest,
  PrepareRequest,
  RevocationReason,
} from '../plug-in/certificate-authority.ts';
import type { Opaque } from '../plug-in/opaque.ts';
import type { CsrNames, RequestedCertificate } from '../request/requested-certificate.ts';
import { asProblem, isUnavailable, kindOf } from './call-result.ts';
import type { FailedCheck, GuardedOrder } from './guarded-order.ts';
import type { HeldError } from './held.ts';
import { type CallLimits, LimitedCalls } from './limited-calls.ts';
import type { RefusalGuard } from './refusal-guard.ts';

/*
 * One configured authority: an adapter behind its limits. Each call gets a place (concurrency), a share of
 * requestsPerSecond and a deadline. When the authority is down, calls are refused at once without being made, and
 * only check() knocks. So an outage costs the processes nothing but time, and the other authorities nothing at all.
 */

export interface AuthorityOptions extends CallLimits {
  readonly adapter: CertificateAuthority;
  /** DER; issued certificates must chain to one of them. Empty: not checked. */
  readonly roots: readonly Uint8Array[];
  readonly mayDrop: readonly DroppablePart[];
  readonly mayAdd?: readonly string[];
  /** Whether its rejections are believed. */
  readonly guard: RefusalGuard;
}

/** Unanswered calls in a row after which the authority counts as down. */
const failuresToDown = 3;
/** How often a working, and a failing, authority is checked. */
const checkEveryMs = 60_000;
const knockEveryMs = 10_000;
/** While it is down a process comes back after this long, spread out so that recovery is not a storm. */
const downPauseMs = { least: 20_000, most: 80_000 };

export interface Ordering {
  /** The name that the guard knows the order's profile by. */
  readonly profile: string;
  /** An order of this process was rejected before, and that was not believed. */
  readonly isAgain?: boolean;
  /** Awaited when nothing but the adapter's own connection is left to wait for. */
  writeDown(): Promise<void>;
}

export class Authority {
  readonly reference: string;
  readonly features: AuthorityFeatures;
  readonly roots: readonly Uint8Array[];
  readonly mayDrop: readonly DroppablePart[];
  readonly mayAdd: readonly string[];
  readonly #options: AuthorityOptions;
  readonly #calls: LimitedCalls;
  #failures = 0;
  #down: ProvisioningError | undefined;
  /** What was last reported about it. */
  #told: string = 'up';

  constructor(options: AuthorityOptions) {
    this.reference = options.reference;
    this.features = options.adapter.features;
    this.roots = options.roots;
    this.mayDrop = [...options.mayDrop, ...options.adapter.features.mayDrop];
    this.mayAdd = [...(options.mayAdd ?? []), ...(options.adapter.features.mayAdd ?? [])];
    this.#options = options;
    this.#calls = new LimitedCalls(options);
  }

  /** Undefined while it is up and its answers are believed, otherwise why not. */
  get problem(): ProvisioningError | undefined {
    return this.#down ?? this.#options.guard.problem;
  }

  /** Which of the requested names go into the CSR. */
  csrNames(wanted: RequestedCertificate): CsrNames {
    return this.features.csrNames?.(wanted) ?? wanted;
  }

  /** `profile` is the name that the guard knows the request's profile by. */
  prepare(request: PrepareRequest, profile: string, signal: AbortSignal): Promise<CsrAdditions> {
    const { adapter } = this.#options;
    if (adapter.prepare === undefined) return Promise.resolve({});
    const prepare = adapter.prepare.bind(adapter);
    return this.#believed({ call: 'prepare', request, profile }, signal, (inner) =>
      prepare(request, inner),
    );
  }

  issue(
    request: IssueRequest,
    { profile, isAgain = false, writeDown }: Ordering,
    signal: AbortSignal,
  ): Promise<Issuance> {
    const { adapter } = this.#options;
    return this.#believed(
      { call: 'issue', request, profile, isAgain },
      signal,
      (inner) => adapter.issue(request, inner),
      writeDown,
    );
  }

  async collect(
    ticket: Opaque,
    request: IssueRequest,
    profile: string,
    signal: AbortSignal,
  ): Promise<Collected> {
    const { adapter, reference } = this.#options;
    const collect = adapter.collect?.bind(adapter);
    if (collect === undefined) {
      throw new ProvisioningError(
        'ca-misconfigured',
        `The authority ${reference} (${adapter.kind}) leaves no order pending. Was the kind of this authority changed while orders were open?`,
      );
    }
    return this.#believed({ call: 'collect', request, profile }, signal, (inner) =>
      collect(ticket, request, inner),
    );
  }

  /** It issued a certificate for the profile that passed its check. */
  proven(profile: string): void {
    this.#note(this.#options.guard.proven(profile));
  }

  /**
   * A certificate of it failed its check. Says why that is not believed, so that the certificate is kept; undefined
   * when it is believed.
   */
  async failed(check: FailedCheck, error: ProvisioningError): Promise<HeldError | undefined> {
    const held = await this.#options.guard.failed(check, error);
    this.#tell();
    return held;
  }

  /** Whether a failing certificate that is kept should be given up all the same, because nobody else orders. */
  missesTries(profile: string): Promise<boolean> {
    return this.#options.guard.missesTries(profile);
  }

  /** Revokes a certificate (DER). False: this kind cannot. Throws when the authority could not be asked now. */
  async revoke(
    certificate: Uint8Array,
    reason: RevocationReason,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { adapter } = this.#options;
    if (adapter.revoke === undefined) return false;
    const revoke = adapter.revoke.bind(adapter);
    await this.#work('revoke', signal, (inner) => revoke(certificate, reason, inner));
    return true;
  }

  /** Checks the authority now and then until the signal is aborted. Never rejects. */
  async watch(signal: AbortSignal): Promise<void> {
    const { adapter, guard, clock, random } = this.#options;
    while (!signal.aborted) {
      try {
        await guard.look();
        await this.#calls.takeShare(signal);
        await this.#calls.timed('check', signal, (inner) => adapter.check(inner));
        this.#up();
      } catch (error) {
        if (signal.aborted) return;
        this.#failed(asProblem(error), failuresToDown);
      }
      const pauseMs = this.problem === undefined ? checkEveryMs : knockEveryMs;
      // An abort ends the wait, and with it the loop.
      await clock.sleep(pauseMs * (0.75 + random() / 2), signal).catch(() => undefined);
    }
  }

  /** A call whose rejections, and whose lack of an answer, are judged before anything follows from them. */
  async #believed<Result>(
    order: GuardedOrder,
    signal: AbortSignal,
    run: (inner: AbortSignal) => Promise<Result>,
    writeDown?: () => Promise<void>,
  ): Promise<Result> {
    const { guard } = this.#options;
    const { call } = order;
    const beforehand = async () => {
      await guard.enter(order);
      await writeDown?.();
    };
    try {
      if (this.#down === undefined) guard.checkHeld(order);
      const answer = await guard.judging(
        order,
        () => this.#work(call, signal, run, beforehand),
        (error) => error === this.#down,
      );
      if (kindOf(answer) !== 'rejected') this.#note(guard.accepted(order));
      return answer;
    } finally {
      this.#tell();
    }
  }

  async #work<Result>(
    call: CaCall,
    signal: AbortSignal,
    run: (inner: AbortSignal) => Promise<Result>,
    beforehand?: () => Promise<void>,
  ): Promise<Result> {
    if (this.#down !== undefined) throw this.#refusal(this.#down);
    const leave = await this.#calls.enter(signal);
    try {
      // It may have gone down while this one stood in line.
      if (this.#down !== undefined) throw this.#refusal(this.#down);
      await this.#calls.takeShare(signal);
      await beforehand?.();
      const result = await this.#calls.timed(call, signal, run);
      this.#up();
      return result;
    } catch (error) {
      if (isUnavailable(error) && this.#down === undefined) {
        this.#failed(error, this.#failures + 1);
      }
      throw error;
    } finally {
      leave();
    }
  }

  #refusal(down: ProvisioningError): ProvisioningError {
    const { least, most } = downPauseMs;
    const retryAfterMs = least + this.#options.random() * (most - least);
    const message = `The authority ${this.reference} is down: ${down.message}`;
    return new ProvisioningError(down.code, message, { retryAfterMs, unanswered: false });
  }

  #up(): void {
    this.#failures = 0;
    this.#down = undefined;
    this.#tell();
  }

  #failed(problem: ProvisioningError, failures: number): void {
    this.#failures = failures;
    if (failures >= failuresToDown) this.#down = problem;
    this.#tell();
  }

  /** For what nobody needs to wait for, and what must not fail the call it follows from. */
  #note(noted: Promise<void>): void {
    noted.then(
      () => this.#tell(),
      (error: unknown) => this.#options.events.emit('bug', { error }),
    );
  }

  /** Reports when it went down, came up, or is held. */
  #tell(): void {
    const { problem } = this;
    const state = problem === undefined ? 'up' : problem === this.#down ? 'down' : problem.code;
    if (state === this.#told) return;
    this.#told = state;
    const { reference: authority } = this;
    const { events } = this.#options;
    if (problem === undefined) return void events.emit('authority', { authority, up: true });
    const held = state === 'down' ? {} : { held: heldReason(problem) };
    const { code, message } = problem;
    events.emit('authority', { authority, up: false, code, message, ...held });
  }
}

function heldReason({ code }: ProvisioningError): 'rejected' | 'unanswered' | 'failing' {
  if (code === 'ca-rejecting') return 'rejected';
  return code === 'ca-bad-answer' ? 'unanswered' : 'failing';
}
