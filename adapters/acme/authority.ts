import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import type {
  AuthorityFeatures,
  CertificateAuthority,
  Collected,
  Issuance,
  IssueRequest,
  RevocationReason,
} from '../../src/plug-in/certificate-authority.ts';
import type { Opaque } from '../../src/plug-in/opaque.ts';
import type { Clock } from '../../src/time/clock.ts';
import type { AdapterHttp } from '../shared/http.ts';
import { issuedPem } from '../shared/issued-pem.ts';
import { reasonCodes } from '../shared/revocation-reason.ts';
import type { CommandRunner } from '../shared/run-command.ts';
import { beforeOrder } from '../shared/status-problem.ts';
import { readTicket } from '../shared/ticket.ts';
import { type AccountOptions, AcmeClient } from './client.ts';
import { certifiableNames, dnsNamesOf } from './identifiers.ts';
import { type OrderState, walkOrder } from './order.ts';
import { AcmeProblem, asProvisioningError, isRefusal } from './problem.ts';
import type { Signer } from './signer.ts';
import type { Solver } from './solver.ts';
import type { StateDirectory } from './state-directory.ts';
import { AcmeWire } from './wire.ts';

export interface AcmeOptions {
  readonly http: AdapterHttp;
  readonly clock: Clock;
  readonly directoryUrl: string;
  readonly signer: Signer;
  readonly state: StateDirectory;
  readonly runner: CommandRunner;
  readonly account: AccountOptions;
  readonly solver: Solver | undefined;
  readonly waitMs: number;
  readonly pollMs: number;
}

type Rejected = Extract<Issuance, { kind: 'rejected' }>;

const ticketShape = z.object({
  orderUrl: z.url(),
  /** The account that made the order, and its key's thumbprint; tickets of earlier versions do not say. */
  madeBy: z.object({ account: z.url(), key: z.string() }).optional(),
  attempt: z.int().min(1),
  /** How often it was looked at and left for later. */
  looks: z.int().min(0).default(0),
});
type Ticket = z.output<typeof ticketShape>;

/** The server, or the one that is configured now, does not know the order as ours. */
type Lost = Extract<Collected, { kind: 'lost' }>;

/** A new order after one that came to nothing waits this long, doubling up to an hour. */
const newOrderPauseMs = 30_000;
const longestPauseMs = 3_600_000;
/** Looks at an order that does not get on become rarer, down to this. */
const rarestLookMs = 300_000;
const shortestPollMs = 1_000;
const mostRemembered = 1_000;
const refusedPauseMs = 300_000;

/**
 * issue() only makes the order, and its URL is the ticket: no certificate can come of it before the journal has
 * written the ticket down. collect() finalizes that very order, which a server does once, and after a crash
 * finds it where it was. So one request never gets two certificates.
 */
export class AcmeAuthority implements CertificateAuthority {
  readonly kind = 'acme';
  readonly features: AuthorityFeatures = {
    idempotent: true,
    pending: true,
    revoke: true,
    keyTypes: ['rsa', 'ec'],
    mayDrop: ['subject', 'email', 'upn', 'uri'],
    csrNames: certifiableNames,
  };
  readonly #options: AcmeOptions;
  readonly #wire: AcmeWire;
  readonly #client: AcmeClient;
  /** Orders of which operators were told why they do not get on, or failed: each once. */
  readonly #told = new Set<string>();
  /** Why there is no account, which check() believes for a while. */
  #refused: { readonly problem: AcmeProblem; readonly until: number } | undefined;

  constructor(options: AcmeOptions) {
    this.#options = options;
    this.#wire = new AcmeWire(options);
    const { signer, account, clock } = options;
    this.#client = new AcmeClient(this.#wire, signer, account, clock);
  }

  /** The account shows whether the CA takes us, the external account's key included. */
  async check(signal: AbortSignal): Promise<void> {
    await this.#wire.refresh(signal);
    const { clock } = this.#options;
    if (this.#refused !== undefined && clock.now() < this.#refused.until) {
      throw asProvisioningError(this.#refused.problem);
    }
    this.#refused = undefined;
    try {
      await this.#client.account(signal);
    } catch (error) {
      if (!(error instanceof AcmeProblem)) throw error;
      // While the authority is down it is checked every few seconds; servers count who asks for accounts in vain.
      this.#refused = { problem: error, until: clock.now() + refusedPauseMs };
      throw asProvisioningError(error);
    }
  }

  async issue(request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
    signal.throwIfAborted();
    const known = await this.#options.state.findOrder(request.requestId);
    if (known !== undefined && this.#wire.isHere(known)) {
      return this.#pending({ orderUrl: known, attempt: 1, looks: 0 }, shortestPollMs);
    }
    if (dnsNamesOf(request.wanted).length === 0) {
      const reason = 'ACME certifies DNS names, and the request has none.';
      return { kind: 'rejected', reason };
    }
    // No certificate comes of an order that is not finalized, whatever went wrong in making it.
    return beforeOrder(
      this.#decided(async () => {
        const ticket = await this.#newOrder(request, 1, signal);
        return this.#pending(ticket, shortestPollMs);
      }),
    );
  }

  async collect(given: Opaque, request: IssueRequest, signal: AbortSignal): Promise<Collected> {
    signal.throwIfAborted();
    const ticket = readTicket(given, ticketShape, 'no ACME order');
    return this.#decided(async () => {
      const state = await this.#walk(ticket, request, signal);
      switch (state.kind) {
        case 'valid':
          return issuedPem([state.chain], request, 'The ACME server’s certificate cannot be read');
        case 'waiting':
          return this.#left(ticket, state);
        case 'invalid':
          return this.#afterInvalid(ticket, state, request, signal);
        case 'lost':
          return state;
        default:
          return state satisfies never;
      }
    });
  }

  async revoke(
    certificate: Uint8Array,
    reason: RevocationReason,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted();
    try {
      await this.#client.revoke(certificate, reasonCodes[reason], signal);
    } catch (error) {
      if (!(error instanceof AcmeProblem)) throw error;
      if (error.type !== 'alreadyRevoked') throw asProvisioningError(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#options.runner[Symbol.asyncDispose]();
    await this.#options.http[Symbol.asyncDispose]();
  }

  /** A refusal of the server's becomes a value. */
  async #decided<Answer>(work: () => Promise<Answer>): Promise<Answer | Rejected> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof AcmeProblem)) throw error;
      if (isRefusal(error.type)) return { kind: 'rejected', reason: error.message };
      throw asProvisioningError(error);
    }
  }

  async #walk(
    { orderUrl, madeBy }: Ticket,
    { csr }: IssueRequest,
    signal: AbortSignal,
  ): Promise<Exclude<OrderState, { kind: 'unknown' }> | Lost> {
    if (!this.#wire.isHere(orderUrl)) return lost('it was made at another server');
    const { clock, solver, waitMs, signer } = this.#options;
    const limits = { clock, solver, waitMs };
    const state = await walkOrder(this.#client, orderUrl, csr, limits, signal);
    if (state.kind !== 'unknown') return state;
    const { problem } = state;
    if (madeBy !== undefined && madeBy.key !== (await signer.thumbprint())) {
      throw anothersOrder(problem);
    }
    // The same key has another account now: the server was set up anew.
    const isNew = madeBy !== undefined && madeBy.account !== (await this.#client.account(signal));
    if (problem.status === 404 || isNew) return lost(problem.message);
    throw problem;
  }

  async #newOrder(request: IssueRequest, attempt: number, signal: AbortSignal): Promise<Ticket> {
    const { state } = this.#options;
    const made = await this.#client.newOrder(dnsNamesOf(request.wanted), signal);
    const account = await this.#client.account(signal);
    const madeBy = { account, key: await this.#options.signer.thumbprint() };
    // Another instance may have been faster: its order counts, and ours comes to nothing.
    const kept = attempt === 1 ? await state.keepOrder(request.requestId, made) : made;
    const orderUrl = this.#wire.isHere(kept) ? kept : made;
    if (orderUrl === made) await state.replaceOrder(request.requestId, made);
    return { orderUrl, madeBy, attempt, looks: 0 };
  }

  /** An invalid order stays so (RFC 8555 7.1.6): it was refused, or operators are told, and a new one is made. */
  async #afterInvalid(
    ticket: Ticket,
    { problem }: Extract<OrderState, { kind: 'invalid' }>,
    request: IssueRequest,
    signal: AbortSignal,
  ): Promise<Issuance> {
    if (isRefusal(problem.type)) return { kind: 'rejected', reason: problem.message };
    if (this.#tellsFirst('invalid', ticket)) {
      throw new ProvisioningError('ca-misconfigured', `${problem.message}. A new order is made.`, {
        cause: problem,
        retryAfterMs: pauseAfter(ticket.attempt),
      });
    }
    const next = await this.#newOrder(request, ticket.attempt + 1, signal);
    return this.#pending(next, shortestPollMs);
  }

  #left(ticket: Ticket, state: Extract<OrderState, { kind: 'waiting' }>): Issuance {
    const { pollMs } = this.#options;
    const rarer = Math.min(rarestLookMs, pollMs * 2 ** Math.min(ticket.looks, 10));
    const pauseMs = Math.max(pollMs, rarer, state.retryAfterMs);
    if (state.said !== undefined && this.#tellsFirst('waiting', ticket)) {
      throw new ProvisioningError(
        'ca-misconfigured',
        `The order does not get on: ${state.said}. It is looked at again.`,
        { retryAfterMs: pauseMs },
      );
    }
    return this.#pending({ ...ticket, looks: ticket.looks + 1 }, pauseMs);
  }

  /** True when this was not told of the order; after a restart it is told once more. */
  #tellsFirst(what: OrderState['kind'], { orderUrl }: Ticket): boolean {
    const key = `${what} ${orderUrl}`;
    if (this.#told.has(key)) return false;
    if (this.#told.size >= mostRemembered) this.#told.clear();
    this.#told.add(key);
    return true;
  }

  #pending(ticket: Ticket, pollAfterMs: number): Issuance {
    const { madeBy, ...rest } = ticket;
    const kept = madeBy === undefined ? rest : { ...rest, madeBy };
    return { kind: 'pending', ticket: kept, pollAfterMs };
  }
}

function lost(reason: string): Lost {
  return { kind: 'lost', reason };
}

function pauseAfter(attempt: number): number {
  return Math.min(longestPauseMs, newOrderPauseMs * 2 ** Math.min(attempt - 1, 10));
}

function anothersOrder(error: AcmeProblem): ProvisioningError {
  return new ProvisioningError(
    'ca-misconfigured',
    `The order was made with another account's key (${error.message}). Instances on one journal must share this authority’s directory; if account.pem was replaced, bring it back until open orders are done.`,
    { cause: error },
  );
}
