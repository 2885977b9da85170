import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import {
  type AuthorityFeatures,
  type CertificateAuthority,
  type CsrAdditions,
  defineAdapter,
  type Issuance,
  type IssueRequest,
} from '../../src/plug-in/certificate-authority.ts';
import type { Opaque } from '../../src/plug-in/opaque.ts';
import { messageOf } from '../../src/words/message-of.ts';
import { templateIdExtension } from '../../src/x509/microsoft-extensions.ts';
import { connectHttp } from '../shared/connection.ts';
import type { AdapterHttp } from '../shared/http.ts';
import { ownCertificate } from '../shared/own-certificate.ts';
import { serverWords } from '../shared/server-words.ts';
import { readTicket } from '../shared/ticket.ts';
import { basicOf, CertSrv } from './certsrv.ts';
import { Ces } from './ces.ts';
import { type Options, options, templateForm } from './options.ts';
import { badAnswer, type Order, type Outcome, type Transport, type Words } from './outcome.ts';

/*
 * Active Directory Certificate Services: by the certificate enrolment web service (MS-WSTEP), or by the web enrolment
 * pages. The CA numbers its requests, and that number is the ticket of a request that an administrator has to approve.
 *
 * Not idempotent: neither way takes a key by which the CA would know an order again. After a lost answer the order is
 * sent anew and the CA counts another request. Neither can revoke; that is for certutil on the CA.
 */

export default defineAdapter({
  kind: 'adcs',
  options,
  async connect(given, context, signal) {
    signal.throwIfAborted();
    const { username, password, url } = given;
    const user =
      username === undefined || password === undefined
        ? undefined
        : { username, password: await context.readSecret(password) };
    const http = await connectHttp(given, context);
    const secrets = user === undefined ? [] : [user.password, basicOf(user)];
    const words: Words = (said, longest) => serverWords(said, secrets, longest);
    const transport =
      given.transport === 'ces'
        ? new Ces(http, url, user, context.clock, words)
        : new CertSrv(http, url, user, context.clock, words);
    return new Adcs(given, transport, http);
  },
});

/** After this long a certificate that is issued and was not fetched is fetched again. */
const soonMs = 5_000;

class Adcs implements CertificateAuthority {
  readonly kind = 'adcs';
  readonly features: AuthorityFeatures = {
    idempotent: false,
    pending: true,
    revoke: false,
    keyTypes: ['rsa', 'ec'],
    mayDrop: [],
  };
  readonly #options: Options;
  readonly #transport: Transport;
  readonly #http: AdapterHttp;

  constructor(given: Options, transport: Transport, http: AdapterHttp) {
    this.#options = given;
    this.#transport = transport;
    this.#http = http;
  }

  async check(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await this.#transport.check(signal);
  }

  async prepare(): Promise<CsrAdditions> {
    const { templateId } = this.#options;
    return templateId === undefined ? {} : { extensions: [templateIdExtension(templateId)] };
  }

  async issue(request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
    signal.throwIfAborted();
    return this.#issuance(await this.#transport.submit(this.#order(request), signal), request);
  }

  async collect(ticket: Opaque, request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
    signal.throwIfAborted();
    const requestId = readTicket(ticket, z.string(), 'no request id of adcs');
    const outcome = await this.#transport.retrieve(requestId, this.#order(request), signal);
    // A server that does not repeat the number still means this request.
    const repeated = outcome.kind === 'pending' ? { ...outcome, requestId } : outcome;
    return this.#issuance(repeated, request);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }

  #order({ csr, wanted }: IssueRequest): Order {
    // The same name as in the CSR's extension: the CA refuses two that differ.
    const template = wanted.template ?? this.#options.template;
    if (template === undefined || templateForm.test(template)) return { csr, template };
    throw new ProvisioningError(
      'ca-misconfigured',
      `adcs: the profile's template ${JSON.stringify(template.slice(0, 100))} is not the name of one.`,
    );
  }

  #issuance(outcome: Outcome, request: IssueRequest): Issuance {
    switch (outcome.kind) {
      case 'rejected':
        return outcome;
      case 'pending':
        return this.#pending(outcome.requestId, outcome.soon === true);
      case 'issued': {
        const found = issuedTo(request, outcome.certificates);
        if (found !== undefined) return { kind: 'issued', ...found };
        if (outcome.requestId !== undefined) return this.#pending(outcome.requestId, false);
        throw badAnswer('no certificate of the order’s key was given.');
      }
    }
  }

  #pending(ticket: string, soon: boolean): Issuance {
    return {
      kind: 'pending',
      ticket,
      pollAfterMs: soon ? soonMs : this.#options.pollSeconds * 1_000,
    };
  }
}

function issuedTo(request: IssueRequest, certificates: readonly Uint8Array[]) {
  try {
    return ownCertificate(certificates, request);
  } catch (error) {
    throw badAnswer(messageOf(error));
  }
}
