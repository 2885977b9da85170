import { X509Certificate } from 'node:crypto';
import type { Clock, Random } from '../clock.ts';
import { DeadlineError, withDeadline } from '../deadline.ts';
import { type ErrorCode, ProvisioningError } from '../errors.ts';
import { type CallBudget, CallBudgetFullError } from '../google/call-budget.ts';
import type { Opaque, ProcessRecord } from '../journal/process-record.ts';
import type { CaCall, Events } from '../telemetry/events.ts';
import { onBehalfOf } from '../telemetry/stray-errors.ts';
import type {
  AuthorityFeatures,
  CertificateAuthority,
  CsrAdditions,
  CsrNames,
  DroppablePart,
  Issuance,
  IssueRequest,
  PrepareRequest,
  RequestedCertificate,
  RevocationReason,
} from './certificate-authority.ts';
import { Slots } from './slots.ts';

/*
 * One configured authority: an adapter behind its limits. Each call gets a place (concurrency), a share of
 * requestsPerSecond and a deadline. When the authority is down, calls are refused at once without being
 * made, and only check() knocks, so that an outage costs the processes nothing but time and the other
 * authorities nothing at all.
 */

export interface AuthorityOptions {
  /** Its name under `authorities` in the configuration. */
  readonly reference: string;
  readonly adapter: CertificateAuthority;
  /** DER; issued certificates must chain to one of them. Empty: not checked. */
  readonly roots: readonly Uint8Array[];
  readonly mayDrop: readonly DroppablePart[];
  readonly mayAdd?: readonly string[];
  readonly concurrency: number;
  /** How many calls may wait for a place; they hold a visit each. */
  readonly longestLine: number;
  readonly budget?: CallBudget;
  /** The deadline of every single call. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: Events;
}

/** Unanswered calls in a row after which the authority counts as down. */
const failuresToDown = 3;
/** How often a working, and a failing, authority is checked. */
const checkEveryMs = 60_000;
const knockEveryMs = 10_000;
/** While it is down a process comes back after this long, spread so that recovery is no storm. */
const downPauseMs = { least: 20_000, most: 80_000 };

export class Authority {
  readonly reference: string;
  readonly features: AuthorityFeatures;
  readonly roots: readonly Uint8Array[];
  readonly mayDrop: readonly DroppablePart[];
  readonly mayAdd: readonly string[];
  readonly #options: AuthorityOptions;
  readonly #slots: Slots;
  #failures = 0;
  #down: ProvisioningError | undefined;

  constructor(options: AuthorityOptions) {
    this.reference = options.reference;
    this.features = options.adapter.features;
    this.roots = options.roots;
    this.mayDrop = [...options.mayDrop, ...options.adapter.features.mayDrop];
    this.mayAdd = [...(options.mayAdd ?? []), ...(options.adapter.features.mayAdd ?? [])];
    this.#options = options;
    this.#slots = new Slots(options.concurrency, options.longestLine);
  }

  /** Undefined while it is up, else why it is not. */
  get problem(): ProvisioningError | undefined {
    return this.#down;
  }

  /** What of the names that are asked for goes into the CSR. */
  csrNames(wanted: RequestedCertificate): CsrNames {
    return this.features.csrNames?.(wanted) ?? wanted;
  }

  prepare(request: PrepareRequest, signal: AbortSignal): Promise<CsrAdditions> {
    const { adapter } = this.#options;
    if (adapter.prepare === undefined) return Promise.resolve({});
    const prepare = adapter.prepare.bind(adapter);
    return this.#work('prepare', signal, (inner) => prepare(request, inner));
  }

  /** `beforeOrdering` is awaited when nothing but the adapter's own connection is left to be waited for. */
  issue(
    request: IssueRequest,
    beforeOrdering: () => Promise<void>,
    signal: AbortSignal,
  ): Promise<Issuance> {
    const { adapter } = this.#options;
    return this.#work('issue', signal, (inner) => adapter.issue(request, inner), beforeOrdering);
  }

  collect(ticket: Opaque, request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
    return this.#work('collect', signal, (inner) =>
      this.#options.adapter.collect(ticket, request, inner),
    );
  }

  /**
   * Revokes what was issued and will not be delivered, where the adapter can; operators hear of it either
   * way. Throws when the authority could not be asked now.
   */
  async disown(
    processId: string,
    record: ProcessRecord,
    reason: RevocationReason,
    signal: AbortSignal,
  ): Promise<void> {
    const { issued } = record;
    if (issued === undefined) return;
    const { adapter } = this.#options;
    const revoke = adapter.revoke?.bind(adapter);
    const certificate = Buffer.from(issued.certificate, 'base64');
    if (isAnothersCa(certificate, record)) {
      this.#report(processId, record, false, 'The answer led with a CA’s certificate.');
      return;
    }
    if (revoke !== undefined) {
      await this.#work('revoke', signal, (inner) => revoke(certificate, reason, inner));
    }
    const message = revoke === undefined ? 'This kind of authority cannot revoke.' : 'Revoked.';
    this.#report(processId, record, revoke !== undefined, message);
  }

  /** {@link disown} for a moment that does not come back: what fails is reported instead of thrown. */
  async disownOrReport(
    processId: string,
    record: ProcessRecord,
    reason: RevocationReason,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await this.disown(processId, record, reason, signal);
    } catch (error) {
      this.#report(processId, record, false, asProblem(error).message);
    }
  }

  /**
   * An order without an answer may have brought a certificate that nobody knows: operators hear of it, unless
   * the next order finds that one. Without an error an instance ended before it heard the answer.
   */
  reportUnanswered(processId: string, requestId: string, error?: ProvisioningError): void {
    const { idempotent, findsEarlier = false } = this.features;
    if (idempotent || findsEarlier) return;
    const why = error === undefined ? 'was lost' : `was not understood (${error.message})`;
    this.#options.events.emit('orphan', {
      processId,
      authority: this.reference,
      requestId,
      revoked: false,
      message: `The answer to the order ${requestId} ${why}: if the authority shows a certificate for it that was not delivered, revoke that one.`,
    });
  }

  #report(processId: string, record: ProcessRecord, revoked: boolean, message: string): void {
    const serialNumber = record.issued?.serialNumber;
    this.#options.events.emit('orphan', {
      processId,
      authority: this.reference,
      revoked,
      message,
      ...(serialNumber === undefined ? {} : { serialNumber }),
    });
  }

  /** Checks the authority now and then until the signal is aborted. Never rejects. */
  async watch(signal: AbortSignal): Promise<void> {
    const { adapter, clock, random } = this.#options;
    while (!signal.aborted) {
      try {
        await this.#takeShare(signal);
        await this.#timed('check', signal, (inner) => adapter.check(inner));
        this.#up();
      } catch (error) {
        if (signal.aborted) return;
        this.#failed(asProblem(error), failuresToDown);
      }
      const pauseMs = this.#down === undefined ? checkEveryMs : knockEveryMs;
      // An abort ends the wait, and with it the loop.
      await clock.sleep(pauseMs * (0.75 + random() / 2), signal).catch(() => undefined);
    }
  }

  async #work<Result>(
    call: CaCall,
    signal: AbortSignal,
    run: (inner: AbortSignal) => Promise<Result>,
    beforehand?: () => Promise<void>,
  ): Promise<Result> {
    if (this.#down !== undefined) throw this.#refusal(this.#down);
    const place = this.#slots.enter(signal);
    if (place === undefined) throw this.#tooMany();
    const leave = await place;
    try {
      // It may have gone down while this one stood in line.
      if (this.#down !== undefined) throw this.#refusal(this.#down);
      await this.#takeShare(signal);
      await beforehand?.();
      const result = await this.#timed(call, signal, run);
      this.#up();
      return result;
    } catch (error) {
      if (isUnanswered(error) && this.#down === undefined) {
        this.#failed(error, this.#failures + 1);
      }
      throw error;
    } finally {
      leave();
    }
  }

  async #takeShare(signal: AbortSignal): Promise<void> {
    try {
      await this.#options.budget?.take(signal);
    } catch (error) {
      if (!(error instanceof CallBudgetFullError)) throw error;
      throw new ProvisioningError('ca-throttled', error.message, {
        retryAfterMs: error.retryAfterMs,
      });
    }
  }

  async #timed<Result>(
    call: CaCall,
    signal: AbortSignal,
    run: (inner: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const { clock, timeoutMs, events } = this.#options;
    const startedAt = clock.now();
    let result: string = 'error';
    try {
      const answer = await onBehalfOf(this.reference, () =>
        withDeadline(clock, timeoutMs, signal, run),
      );
      result = kindOf(answer);
      return answer;
    } catch (error) {
      const known = error instanceof DeadlineError ? unanswered(this.reference, error) : error;
      if (known instanceof ProvisioningError) result = known.code;
      throw known;
    } finally {
      const seconds = (clock.now() - startedAt) / 1_000;
      events.emit('caRequest', { authority: this.reference, call, result, seconds });
    }
  }

  #refusal(down: ProvisioningError): ProvisioningError {
    const { least, most } = downPauseMs;
    const retryAfterMs = least + this.#options.random() * (most - least);
    const message = `The authority ${this.reference} is down: ${down.message}`;
    return new ProvisioningError(down.code, message, { retryAfterMs, unanswered: false });
  }

  #tooMany(): ProvisioningError {
    const retryAfterMs = 500 + this.#options.random() * 1_500;
    const message = `All ${this.#options.concurrency} places of the authority ${this.reference} are taken.`;
    return new ProvisioningError('ca-throttled', message, { retryAfterMs });
  }

  #up(): void {
    this.#failures = 0;
    if (this.#down === undefined) return;
    this.#down = undefined;
    this.#options.events.emit('authority', { authority: this.reference, up: true });
  }

  #failed(problem: ProvisioningError, failures: number): void {
    this.#failures = failures;
    const wasUp = this.#down === undefined;
    if (failures < failuresToDown) return;
    this.#down = problem;
    if (!wasUp) return;
    const { code, message } = problem;
    this.#options.events.emit('authority', { authority: this.reference, up: false, code, message });
  }
}

/** An answer in the wrong order leads with the authority's own certificate: that one must stay good. */
function isAnothersCa(certificate: Uint8Array, { request }: ProcessRecord): boolean {
  try {
    const { ca, publicKey } = new X509Certificate(certificate);
    const key = publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
    return ca && key !== request?.subjectPublicKeyInfo;
  } catch {
    // What cannot be read is no CA's certificate, and the adapter may know what to do with it.
    return false;
  }
}

function isUnanswered(error: unknown): error is ProvisioningError {
  return error instanceof ProvisioningError && error.code === 'ca-unavailable';
}

function kindOf(answer: unknown): string {
  const isIssuance = typeof answer === 'object' && answer !== null && 'kind' in answer;
  if (!isIssuance || typeof answer.kind !== 'string') return 'ok';
  return answer.kind === 'issued' ? 'ok' : answer.kind;
}

function unanswered(reference: string, error: DeadlineError): ProvisioningError {
  return new ProvisioningError('ca-unavailable', `${reference}: ${error.message}`, {
    cause: error,
  });
}

function asProblem(error: unknown): ProvisioningError {
  if (error instanceof ProvisioningError) return error;
  const code: ErrorCode = 'ca-unavailable';
  const message = error instanceof Error ? error.message : String(error);
  return new ProvisioningError(code, message, { cause: error });
}
