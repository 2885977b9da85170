import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import {
  type AuthorityFeatures,
  type CertificateAuthority,
  defineAdapter,
  type Issuance,
  type IssueRequest,
  type RevocationReason,
} from '../../src/plug-in/certificate-authority.ts';
import { issuedAnswer } from '../../src/plug-in/issued-answer.ts';
import type { Opaque } from '../../src/plug-in/opaque.ts';
import type { Clock } from '../../src/time/clock.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { decodeName, formatName } from '../../src/x509/distinguished-name.ts';
import { encodePem, readCertificates } from '../../src/x509/pem.ts';
import { connectHttp, refuseUnsafeUrl } from '../shared/connection.ts';
import { pauseOf } from '../shared/http.ts';
import { type JsonAnswer, JsonApi } from '../shared/json-api.ts';
import { reasonNames } from '../shared/revocation-reason.ts';
import { beforeOrder } from '../shared/status-problem.ts';
import { readTicket } from '../shared/ticket.ts';
import {
  approvalIdOf,
  certificateAnswer,
  certificateBytes,
  searchAnswer,
  statusAnswer,
} from './certificates.ts';
import { Credentials } from './credentials.ts';
import { ejbcaDialect } from './dialect.ts';
import { type Options, options } from './options.ts';
import { isAboutRequest } from './refusal.ts';

/*
 * EJBCA's REST API. The end entity's user name follows from the requestId, and an order begins with a search
 * for it: what an earlier order got, although its answer was lost, is handed on instead of ordered again.
 */

export default defineAdapter({
  kind: 'ejbca',
  options,
  async connect(given, context, signal) {
    signal.throwIfAborted();
    const { token, tokenUrl, clientSecret } = given.auth;
    // What is missing shall be seen at the start; it is read again when it is needed.
    for (const reference of [token, clientSecret]) {
      if (reference !== undefined) await context.readSecret(reference);
    }
    const { proxy, allowPlainHttp, auth, url } = given;
    for (const each of tokenUrl === undefined ? [url] : [url, tokenUrl]) {
      refuseUnsafeUrl(each, allowPlainHttp);
    }
    const provider = await connectHttp({ proxy, tls: { caFile: auth.caFile } }, context);
    const api = new JsonApi({
      http: await connectHttp(given, context),
      clock: context.clock,
      root: `${url.replace(/\/+$/, '')}/v1/`,
      dialect: ejbcaDialect,
    });
    return new Ejbca(given, api, new Credentials(auth, api, provider, context), context.clock);
  },
});

const ticketSchema = z.object({
  /** Null: this EJBCA does not tell; then only a search can find the certificate. */
  approval: z.string().nullable(),
  password: z.string(),
});

type Ticket = z.output<typeof ticketSchema>;

class Ejbca implements CertificateAuthority {
  readonly kind = 'ejbca';
  readonly features: AuthorityFeatures;
  readonly #options: Options;
  readonly #api: JsonApi;
  readonly #credentials: Credentials;
  readonly #clock: Clock;

  constructor(given: Options, api: JsonApi, credentials: Credentials, clock: Clock) {
    this.#options = given;
    this.#api = api;
    this.#credentials = credentials;
    this.#clock = clock;
    this.features = {
      // Two orders at the very same moment would both find nothing.
      idempotent: false,
      findsEarlier: given.lookUp,
      pending: true,
      revoke: true,
      keyTypes: ['rsa', 'ec'],
      mayDrop: [],
    };
  }

  async check(signal: AbortSignal): Promise<void> {
    const call = { method: 'GET', path: 'certificate/status' } as const;
    const answer = await this.#credentials.send(call, signal);
    if (answer.status !== 200) throw this.#api.problem('Asking for its status', answer);
    this.#read(answer, statusAnswer);
  }

  async issue(request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
    signal.throwIfAborted();
    const earlier = await beforeOrder(this.#find(request, signal));
    if (earlier !== undefined) return earlier;
    const password = randomBytes(24).toString('base64url');
    const body = this.#enrolment(request, password);
    const call = { method: 'POST', path: 'certificate/pkcs10enroll', body } as const;
    const answer = await this.#credentials.send(call, signal);
    if (answer.status === 200 || answer.status === 201)
      return this.#issued(answer, request, signal);
    if (answer.status === 202) {
      const approval = approvalIdOf(answer.json) ?? null;
      return this.#pending({ approval, password }, answer);
    }
    if (answer.own !== undefined && [400, 409, 422].includes(answer.status)) {
      const reason = this.#api.words(answer.own, [password]);
      if (isAboutRequest(reason)) return { kind: 'rejected', reason };
    }
    throw this.#api.problem('Enrolling', answer, [password]);
  }

  /** Approved orders are not issued by themselves: finalizing does it. */
  async collect(given: Opaque, request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
    signal.throwIfAborted();
    const ticket = readTicket(given, ticketSchema, 'not EJBCA’s');
    const earlier = await this.#find(request, signal);
    if (earlier !== undefined) return earlier;
    if (ticket.approval === null) return this.#pending(ticket);
    const { approval, password } = ticket;
    const body = { password, response_format: 'DER' };
    const path = `certificate/${encodeURIComponent(approval)}/finalize`;
    const answer = await this.#credentials.send({ method: 'POST', path, body }, signal);
    if (answer.status === 200 || answer.status === 201)
      return this.#issued(answer, request, signal);
    if (answer.status === 202) return this.#pending(ticket, answer);
    if (answer.own !== undefined && answer.status === 400) {
      const reason = this.#api.words(answer.own, [password]);
      if (/reject|denied|expired/i.test(reason)) return { kind: 'rejected', reason };
    }
    throw this.#api.problem('Finalizing', answer, [password]);
  }

  async revoke(
    certificate: Uint8Array,
    reason: RevocationReason,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted();
    const { issuer, serialNumber } = readCertificate(certificate);
    const path = `certificate/${encodedName(issuer)}/${serialNumber}/revoke?reason=${reasonNames[reason]}`;
    const answer = await this.#credentials.send({ method: 'PUT', path }, signal);
    // 409: it is revoked already.
    if (answer.status !== 200 && answer.status !== 409) {
      throw this.#api.problem('Revoking', answer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#credentials[Symbol.asyncDispose]();
  }

  /** The certificate that an earlier order with this requestId got; the oldest if there are several. */
  async #find(request: IssueRequest, signal: AbortSignal): Promise<Issuance | undefined> {
    if (!this.#options.lookUp) return undefined;
    const criteria = [
      { property: 'QUERY', value: this.#usernameOf(request), operation: 'EQUAL' },
      { property: 'STATUS', value: 'CERT_ACTIVE', operation: 'EQUAL' },
    ];
    const body = { max_number_of_results: 10, criteria };
    const call = { method: 'POST', path: 'certificate/search', body, safe: true } as const;
    const answer = await this.#credentials.send(call, signal);
    if (answer.status !== 200) throw this.#api.problem('Searching for the order', answer);
    const found = this.#read(answer, searchAnswer).certificates.map((one) => {
      const { certificate } = issuedAnswer([certificateBytes(one.certificate)], request);
      return readCertificate(certificate);
    });
    const [oldest] = found
      .filter(({ subjectPublicKeyInfo }) =>
        Buffer.from(subjectPublicKeyInfo).equals(request.subjectPublicKeyInfo),
      )
      .toSorted((a, b) => a.notBefore - b.notBefore);
    return oldest === undefined ? undefined : this.#withChain(oldest.der, request, signal);
  }

  /** The body of pkcs10enroll. Names come from the CSR, validity and usages from the certificate profile. */
  #enrolment(request: IssueRequest, password: string): object {
    const { certificateAuthority, endEntityProfile } = this.#options;
    const profile = request.wanted.template ?? this.#options.certificateProfile;
    if (profile === undefined) {
      throw new ProvisioningError(
        'ca-misconfigured',
        'There is no certificate profile: set certificateProfile, or template in the profile.',
      );
    }
    return {
      certificate_request: encodePem('CERTIFICATE REQUEST', request.csr),
      certificate_profile_name: profile,
      end_entity_profile_name: endEntityProfile,
      certificate_authority_name: certificateAuthority,
      username: this.#usernameOf(request),
      password,
      include_chain: true,
      response_format: 'DER',
    };
  }

  #read<Schema extends z.ZodType>(answer: JsonAnswer, schema: Schema): z.output<Schema> {
    return this.#api.read(answer, schema, 'EJBCA’s answer');
  }

  #usernameOf({ requestId }: IssueRequest): string {
    return `${this.#options.usernamePrefix}${requestId}`;
  }

  #pending(ticket: Ticket, answer?: JsonAnswer): Issuance {
    const usualMs = this.#options.pollSeconds * 1_000;
    const pollAfterMs = pauseOf(answer?.headers ?? {}, this.#clock.now(), usualMs);
    return { kind: 'pending', ticket, pollAfterMs };
  }

  async #issued(answer: JsonAnswer, request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
    const { certificate, certificate_chain } = this.#read(answer, certificateAnswer);
    const leaf = certificateBytes(certificate);
    if (!certificate_chain?.length) return this.#withChain(leaf, request, signal);
    return issuedAnswer([leaf, ...certificate_chain.map(certificateBytes)], request);
  }

  /** The issuer's chain, for answers that bring none. Where EJBCA gives none either, `roots` must do. */
  async #withChain(
    leaf: Uint8Array,
    request: IssueRequest,
    signal: AbortSignal,
  ): Promise<Issuance> {
    const issued = issuedAnswer([leaf], request);
    const path = `ca/${encodedName(readCertificate(leaf).issuer)}/certificate/download`;
    const answer = await this.#credentials.send({ method: 'GET', path }, signal);
    if (answer.status !== 200) return issued;
    try {
      return { ...issued, chain: readCertificates(answer.body) };
    } catch (error) {
      throw new ProvisioningError('ca-bad-answer', 'The CA’s chain from EJBCA is not PEM.', {
        cause: error,
      });
    }
  }
}

function encodedName(issuer: Uint8Array): string {
  return encodeURIComponent(formatName(decodeName(issuer)));
}
