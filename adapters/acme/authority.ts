import type acme from 'acme-client';
import { z } from 'zod';
import type { Clock } from '../../src/clock.ts';
import { ProvisioningError } from '../../src/errors.ts';
import type {
  AuthorityFeatures,
  CertificateAuthority,
  Issuance,
  IssueRequest,
  RevocationReason,
} from '../../src/issue/certificate-authority.ts';
import type { Opaque } from '../../src/journal/process-record.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { encodePem, readCertificates } from '../../src/x509/pem.ts';
import type { AdapterHttp } from '../shared/http.ts';
import { readJson } from '../shared/json-answer.ts';
import type { CommandRunner } from '../shared/run-command.ts';
import { type AccountOptions, openAccount } from './account.ts';
import { dnsNamesOf } from './identifiers.ts';
import { type OrderState, walkOrder } from './order.ts';
import { AcmeProblem, asProvisioningError, isRefusal, problemOf } from './problem.ts';
import type { Solver } from './solver.ts';
import type { StateDirectory } from './state-directory.ts';
import { withTransport } from './transport.ts';

export interface AcmeOptions {
  readonly http: AdapterHttp;
  readonly clock: Clock;
  readonly state: StateDirectory;
  readonly runner: CommandRunner;
  readonly account: AccountOptions;
  readonly solver: Solver | undefined;
  readonly waitMs: number;
  readonly pollMs: number;
}

const ticketShape = z.object({ orderUrl: z.url(), attempt: z.int().min(1) });
type Ticket = z.output<typeof ticketShape>;

const directoryShape = z.object({ newNonce: z.url(), newAccount: z.url(), newOrder: z.url() });

/** A new order after one that came to nothing waits this long, doubling up to an hour. */
const newOrderPauseMs = 30_000;
const longestPauseMs = 3_600_000;

/** RFC 5280 5.3.1. */
const reasonCodes: Readonly<Record<RevocationReason, number>> = {
  unspecified: 0,
  keyCompromise: 1,
  superseded: 4,
  cessationOfOperation: 5,
};

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
  };
  readonly #options: AcmeOptions;
  #client: acme.Client | undefined;

  constructor(options: AcmeOptions) {
    this.#options = options;
  }

  async check(signal: AbortSignal): Promise<void> {
    const { http, clock, account } = this.#options;
    const { directoryUrl: url } = account;
    const answer = await http.request({ method: 'GET', url }, signal);
    if (answer.status !== 200) throw asProvisioningError(problemOf(answer, url, clock));
    readJson(answer, directoryShape, 'The ACME directory');
  }

  async issue(request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
    signal.throwIfAborted();
    const { state } = this.#options;
    const known = await state.findOrder(request.requestId);
    if (known !== undefined) return this.#pending({ orderUrl: known, attempt: 1 }, 1);
    const names = dnsNamesOf(request.wanted);
    if (names.length === 0) {
      const reason = 'ACME certifies DNS names, and the request has none.';
      return { kind: 'rejected', reason };
    }
    return this.#decided(signal, async (client) => {
      const made = await this.#newOrder(client, names);
      // Another instance may have been faster: its order counts, and ours comes to nothing.
      const orderUrl = await state.keepOrder(request.requestId, made);
      return this.#pending({ orderUrl, attempt: 1 }, 1);
    });
  }

  async collect(given: Opaque, request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
    signal.throwIfAborted();
    const read = ticketShape.safeParse(given);
    if (!read.success) {
      throw new ProvisioningError(
        'ca-misconfigured',
        'The ticket of the pending order is no ACME order. Was the kind of this authority changed while orders were open?',
      );
    }
    const ticket = read.data;
    return this.#decided(signal, async (client) => {
      const { clock, solver, waitMs, pollMs } = this.#options;
      const limits = { clock, solver, waitMs };
      const state = await walkOrder(client, ticket.orderUrl, request.csr, limits, signal);
      switch (state.kind) {
        case 'valid':
          return issued(state.chain, request);
        case 'waiting':
          return this.#pending(ticket, pollMs);
        case 'invalid':
          return this.#afterInvalid(client, ticket, state, request);
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
    const pem = encodePem('CERTIFICATE', certificate);
    try {
      await this.#run(signal, (client) =>
        client.revokeCertificate(pem, { reason: reasonCodes[reason] }),
      );
    } catch (error) {
      if (!(error instanceof AcmeProblem)) throw error;
      if (error.type !== 'alreadyRevoked') throw asProvisioningError(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#options.runner[Symbol.asyncDispose]();
    await this.#options.http[Symbol.asyncDispose]();
  }

  /** Runs calls with the account; a refusal of the server's becomes a value. */
  async #decided(
    signal: AbortSignal,
    work: (client: acme.Client) => Promise<Issuance>,
  ): Promise<Issuance> {
    try {
      return await this.#run(signal, work);
    } catch (error) {
      if (!(error instanceof AcmeProblem)) throw error;
      if (isRefusal(error.type)) return { kind: 'rejected', reason: error.message };
      throw asProvisioningError(error);
    }
  }

  #run<Result>(
    signal: AbortSignal,
    work: (client: acme.Client) => Promise<Result>,
  ): Promise<Result> {
    const { http, clock, account } = this.#options;
    return withTransport({ http, clock, signal }, async () => {
      this.#client ??= await openAccount(account);
      return work(this.#client);
    });
  }

  async #newOrder(client: acme.Client, names: readonly string[]): Promise<string> {
    const identifiers = names.map((value) => ({ type: 'dns', value }));
    const { url } = await client.createOrder({ identifiers });
    return url;
  }

  /** An invalid order stays so (RFC 8555 7.1.6): it was refused, or a new one is made after a pause. */
  async #afterInvalid(
    client: acme.Client,
    { attempt }: Ticket,
    { problem }: Extract<OrderState, { kind: 'invalid' }>,
    request: IssueRequest,
  ): Promise<Issuance> {
    if (isRefusal(problem.type)) return { kind: 'rejected', reason: problem.message };
    const { state } = this.#options;
    const orderUrl = await this.#newOrder(client, dnsNamesOf(request.wanted));
    await state.replaceOrder(request.requestId, orderUrl);
    const pauseMs = Math.min(longestPauseMs, newOrderPauseMs * 2 ** Math.min(attempt - 1, 10));
    return this.#pending({ orderUrl, attempt: attempt + 1 }, pauseMs);
  }

  #pending(ticket: Ticket, pollAfterMs: number): Issuance {
    return { kind: 'pending', ticket, pollAfterMs };
  }
}

/** The leaf is the certificate with the CSR's key; the others are its chain (RFC 8555 7.4.2). */
function issued(pem: string, { subjectPublicKeyInfo }: IssueRequest): Issuance {
  try {
    const all = readCertificates(pem).map((der) => readCertificate(der));
    const isOurs = (spki: Uint8Array) => Buffer.compare(spki, subjectPublicKeyInfo) === 0;
    const leaf = all.find((facts) => isOurs(facts.subjectPublicKeyInfo)) ?? all[0];
    if (leaf === undefined) throw new Error('there is none');
    const chain = all.filter((facts) => facts !== leaf).map(({ der }) => der);
    return { kind: 'issued', certificate: leaf.der, chain };
  } catch (error) {
    throw new ProvisioningError(
      'ca-bad-answer',
      `The ACME server's certificate cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
}
