import { randomBytes } from 'node:crypto';
import { ProvisioningError } from '../../src/errors.ts';
import {
  type AuthorityFeatures,
  type CertificateAuthority,
  type Collected,
  defineAdapter,
  type Issuance,
  type IssueRequest,
  type RevocationReason,
} from '../../src/plug-in/certificate-authority.ts';
import type { Opaque } from '../../src/plug-in/opaque.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { DerError, tag } from '../../src/x509/der.ts';
import { encode } from '../../src/x509/encode-der.ts';
import { chainOf } from '../shared/own-certificate.ts';
import { probe } from '../shared/probe.ts';
import {
  encodeCertConfirm,
  encodePollRequest,
  encodeRevocation,
  readCertResponse,
  readPollResponse,
  readRevocationResponse,
} from './content.ts';
import { openLink } from './link.ts';
import { bodyType, encodeInfo, infoType, type Message } from './message.ts';
import { type CmpOptions, cmpOptions } from './options.ts';
import {
  describeStatus,
  pkiStatus,
  problemOf,
  readErrorMessage,
  type StatusInfo,
} from './status.ts';
import { type Ticket, transactionOf, writeTicket } from './ticket.ts';
import { type Link, Transaction } from './transaction.ts';

/*
 * The Certificate Management Protocol (RFC 4210, now RFC 9810; profiles RFC 9480 and RFC 9483) over HTTP
 * (RFC 9811). We are a registration authority: the device's CSR travels as it is in a p10cr, under our
 * protection. The requestId is the transaction's id, so that a CA can tell a repeated order from a new one.
 */

export default defineAdapter({
  kind: 'cmp',
  options: cmpOptions,
  async connect(given, context, signal) {
    signal.throwIfAborted();
    return new CmpAuthority(given, await openLink(given, context));
  },
});

const longestPauseMs = 6 * 3_600_000;
/** A CA that wants not to be asked for longer cannot mean it. */
const longestCheckAfterMs = 24 * 3_600_000;
/** How soon a confirmation that was not answered is sent again. */
const confirmAgainMs = 5_000;
/** What CAs say to a message of a transaction that they do not (any more) know. */
const unknownTransaction = ['badRequest', 'badRecipientNonce'];

class CmpAuthority implements CertificateAuthority {
  readonly kind = 'cmp';
  readonly features: AuthorityFeatures;
  readonly revoke?: NonNullable<CertificateAuthority['revoke']>;
  readonly #options: CmpOptions;
  readonly #link: Link;

  constructor(given: CmpOptions, link: Link) {
    this.#options = given;
    this.#link = link;
    this.features = {
      // A CA may forget a transaction as soon as it has answered, and certify a second time.
      idempotent: false,
      pending: true,
      revoke: given.revoke,
      keyTypes: ['rsa', 'ec'],
      mayDrop: [],
    };
    if (given.revoke) {
      this.revoke = (certificate, reason, signal) => this.#revoke(certificate, reason, signal);
    }
  }

  async check(signal: AbortSignal): Promise<void> {
    const transaction = new Transaction(this.#link, randomBytes(16));
    if (this.#options.check === 'genm') {
      const content = encode(tag.sequence, encodeInfo(infoType.caCerts));
      const answer = await transaction.send({ type: bodyType.generalMessage, content }, signal);
      if (answer.type !== bodyType.generalResponse) throw this.#refusal(answer, 'genm');
      return;
    }
    const { http, url } = this.#link;
    const odd = await probe(http, url, signal);
    if (odd !== undefined) throw transaction.problemOfStatus(odd);
  }

  async issue(request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
    signal.throwIfAborted();
    const id = Buffer.from(request.requestId, 'hex');
    const transaction = new Transaction(this.#link, id);
    const answer = await transaction.send(
      {
        type: bodyType.p10CertRequest,
        content: request.csr,
        askImplicitConfirm: this.#options.implicitConfirm,
      },
      signal,
    );
    return this.#receive(
      transaction,
      { transactionId: id, certReqId: -1 },
      answer,
      request,
      signal,
    );
  }

  async collect(ticket: Opaque, request: IssueRequest, signal: AbortSignal): Promise<Collected> {
    signal.throwIfAborted();
    const state = transactionOf(ticket);
    const transaction = new Transaction(this.#link, state.transactionId, state.nonce);
    if (state.issued !== undefined) return this.#confirm(transaction, state, signal, true);
    const content = encodePollRequest(state.certReqId);
    const answer = await transaction.send({ type: bodyType.pollRequest, content }, signal);
    // A CA that has lost the transaction, with a restart say, has not decided against the request.
    if (this.#failed(answer, ...unknownTransaction)) {
      return { kind: 'lost', reason: this.#refusal(answer, 'pollReq').message };
    }
    return this.#receive(transaction, state, answer, request, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#link.http[Symbol.asyncDispose]();
  }

  async #receive(
    transaction: Transaction,
    state: Ticket,
    answer: Message,
    request: IssueRequest,
    signal: AbortSignal,
  ): Promise<Issuance> {
    switch (answer.type) {
      case bodyType.certResponse: {
        const response = this.#read(() => readCertResponse(answer.body));
        const { certReqId, info } = response;
        if (info.status === pkiStatus.waiting) {
          const pauseMs = this.#options.pollSeconds * 1_000;
          return this.#pending(transaction, { ...state, certReqId }, pauseMs);
        }
        if (info.status !== pkiStatus.accepted && info.status !== pkiStatus.grantedWithMods) {
          return this.#negative(info);
        }
        const issued = this.#issued(response, answer, request);
        // Asked for or not: what the CA does not wait for need not be sent.
        if (answer.infoTypes.includes(infoType.implicitConfirm)) {
          return { kind: 'issued', ...issued };
        }
        return this.#confirm(transaction, { ...state, certReqId, issued }, signal);
      }
      case bodyType.pollResponse: {
        const { certReqId, checkAfterMs } = this.#read(() => readPollResponse(answer.body));
        const isSensible = checkAfterMs <= longestCheckAfterMs;
        const pauseMs = isSensible ? checkAfterMs : this.#options.pollSeconds * 1_000;
        return this.#pending(transaction, { ...state, certReqId }, pauseMs);
      }
      case bodyType.error: {
        const info = this.#read(() => readErrorMessage(answer.body));
        if (info.status !== pkiStatus.waiting) return this.#negative(info);
        // The whole answer is delayed, not one certificate (RFC 9483 4.4).
        const pauseMs = this.#options.pollSeconds * 1_000;
        return this.#pending(transaction, { ...state, certReqId: -1 }, pauseMs);
      }
      default:
        throw this.#bad(`its body has type ${answer.type}`);
    }
  }

  #pending(transaction: Transaction, state: Ticket, pauseMs: number): Issuance {
    const pollAfterMs = Math.min(longestPauseMs, Math.max(1_000, pauseMs));
    return { kind: 'pending', ticket: writeTicket(state, transaction.nonce), pollAfterMs };
  }

  #negative(info: StatusInfo): Issuance {
    const { url, secrets } = this.#link;
    const problem = problemOf(info, `${url} refused the request`, secrets);
    if (problem !== undefined) throw problem;
    return { kind: 'rejected', reason: describeStatus(info, secrets) };
  }

  #issued(
    { certificate, caPubs }: ReturnType<typeof readCertResponse>,
    { extraCerts }: Message,
    request: IssueRequest,
  ): NonNullable<Ticket['issued']> {
    if (certificate === undefined) throw this.#bad('it grants a certificate and holds none');
    const key = this.#read(() => readCertificate(certificate).subjectPublicKeyInfo);
    if (Buffer.compare(key, request.subjectPublicKeyInfo) !== 0) {
      throw this.#bad('the certificate has another key than the CSR');
    }
    return { certificate, chain: chainOf(certificate, [...extraCerts, ...caPubs]) };
  }

  /** Once the certificate is there, an unanswered confirmation costs a look more, and no second certificate. */
  async #confirm(
    transaction: Transaction,
    state: Ticket,
    signal: AbortSignal,
    repeated = false,
  ): Promise<Issuance> {
    const { issued, certReqId } = state;
    if (issued === undefined) throw new Error('There is nothing to confirm.');
    const nonce = transaction.nonce;
    const { content, pvno } = this.#read(() => encodeCertConfirm(issued.certificate, certReqId));
    try {
      const answer = await transaction.send({ type: bodyType.certConfirm, content, pvno }, signal);
      if (answer.type === bodyType.confirmation) return { kind: 'issued', ...issued };
      // The first one was received and its answer lost: some CAs have then forgotten the transaction.
      const done = repeated && this.#failed(answer, ...unknownTransaction);
      if (done || this.#failed(answer, 'certConfirmed')) return { kind: 'issued', ...issued };
      throw this.#refusal(answer, 'certConf');
    } catch (error) {
      if (!(error instanceof ProvisioningError)) throw error;
      if (error.code !== 'ca-unavailable' && error.code !== 'ca-throttled') throw error;
      const pollAfterMs = Math.max(confirmAgainMs, error.retryAfterMs ?? 0);
      return { kind: 'pending', ticket: writeTicket(state, nonce), pollAfterMs };
    }
  }

  async #revoke(
    certificate: Uint8Array,
    reason: RevocationReason,
    signal: AbortSignal,
  ): Promise<void> {
    const transaction = new Transaction(this.#link, randomBytes(16));
    const content = encodeRevocation(certificate, reason);
    const answer = await transaction.send({ type: bodyType.revocationRequest, content }, signal);
    if (answer.type !== bodyType.revocationResponse) {
      if (this.#failed(answer, 'certRevoked')) return;
      throw this.#refusal(answer, 'rr');
    }
    const info = this.#read(() => readRevocationResponse(answer.body));
    const done = info.status <= pkiStatus.grantedWithMods || info.failures.includes('certRevoked');
    if (!done) throw this.#problem(info, 'rr');
  }

  #failed(answer: Message, ...failures: readonly string[]): boolean {
    if (answer.type !== bodyType.error) return false;
    const said = this.#read(() => readErrorMessage(answer.body)).failures;
    return said.some((failure) => failures.includes(failure));
  }

  #refusal(answer: Message, to: string): ProvisioningError {
    if (answer.type !== bodyType.error)
      return this.#bad(`to ${to} its body has type ${answer.type}`);
    return this.#problem(
      this.#read(() => readErrorMessage(answer.body)),
      to,
    );
  }

  #problem(info: StatusInfo, to: string): ProvisioningError {
    const { url, secrets } = this.#link;
    const what = `${url} refused ${to}`;
    const message = `${what}: ${describeStatus(info, secrets)}.`;
    return problemOf(info, what, secrets) ?? new ProvisioningError('ca-misconfigured', message);
  }

  #read<Result>(read: () => Result): Result {
    try {
      return read();
    } catch (error) {
      if (error instanceof ProvisioningError || !(error instanceof Error)) throw error;
      throw this.#bad(error.message, error instanceof DerError ? undefined : error);
    }
  }

  #bad(what: string, cause?: unknown): ProvisioningError {
    const message = `The answer of ${this.#link.url} cannot be used: ${what}.`;
    return new ProvisioningError('ca-bad-answer', message, { cause });
  }
}
