import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import {
  defineAdapter,
  type Issuance,
  type IssueRequest,
} from '../../src/plug-in/certificate-authority.ts';
import { issuedAnswer } from '../../src/plug-in/issued-answer.ts';
import type { Opaque } from '../../src/plug-in/opaque.ts';
import type { Clock } from '../../src/time/clock.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { decodeName, formatName } from '../../src/x509/distinguished-name.ts';
import { encodePem, readCertificates } from '../../src/x509/pem.ts';
import { connectHttp, refuseUnsafeUrl } from '../shared/connection.ts';
import { pauseOf } from '../shared/http.ts';
import { type JsonAnswer, type JsonApi, openApi } from '../shared/json-api.ts';
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

interface Ejbca {
  readonly options: Options;
  readonly api: JsonApi;
  readonly credentials: Credentials;
  readonly clock: Clock;
}

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
    const api = await openApi(given, context, {
      root: `${url.replace(/\/+$/, '')}/v1/`,
      dialect: ejbcaDialect,
    });
    const credentials = new Credentials(auth, api, provider, context);
    const ejbca = { options: given, api, credentials, clock: context.clock };
    return {
      kind: 'ejbca',
      features: {
        // Two orders at the very same moment would both find nothing.
        idempotent: false,
        findsEarlier: given.lookUp,
        pending: true,
        revoke: true,
        keyTypes: ['rsa', 'ec'],
        mayDrop: [],
      },
      async check(signal) {
        const answer = await credentials.send(
          { method: 'GET', path: 'certificate/status' },
          signal,
        );
        if (answer.status !== 200) throw api.problem('Asking for its status', answer);
        api.read(answer, statusAnswer, theAnswer);
      },
      issue: (request, signal) => enrol(ejbca, request, signal),
      collect: (ticket, request, signal) => finalize(ejbca, ticket, request, signal),
      async revoke(certificate, reason, signal) {
        const { issuer, serialNumber } = readCertificate(certificate);
        const path = `certificate/${encodedName(issuer)}/${serialNumber}/revoke?reason=${reasonNames[reason]}`;
        const answer = await credentials.send({ method: 'PUT', path }, signal);
        // 409: it is revoked already.
        if (![200, 409].includes(answer.status)) throw api.problem('Revoking', answer);
      },
      [Symbol.asyncDispose]: () => credentials[Symbol.asyncDispose](),
    };
  },
});

const theAnswer = 'EJBCA’s answer';

const ticketSchema = z.object({
  /** Null: this EJBCA does not tell; then only a search can find the certificate. */
  approval: z.string().nullable(),
  password: z.string(),
});

type Ticket = z.output<typeof ticketSchema>;

async function enrol(ejbca: Ejbca, request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
  const earlier = await beforeOrder(findEarlier(ejbca, request, signal));
  if (earlier !== undefined) return earlier;
  const password = randomBytes(24).toString('base64url');
  const step: Step = {
    doing: 'Enrolling',
    path: 'certificate/pkcs10enroll',
    body: enrolment(ejbca.options, request, password),
    password,
    ticketIn: ({ json }) => ({ approval: approvalIdOf(json) ?? null, password }),
    isDecision: (status, words) => [400, 409, 422].includes(status) && isAboutRequest(words),
  };
  return take(ejbca, step, request, signal);
}

/** Approved orders are not issued by themselves: finalizing does it. */
async function finalize(
  ejbca: Ejbca,
  given: Opaque,
  request: IssueRequest,
  signal: AbortSignal,
): Promise<Issuance> {
  const ticket = readTicket(given, ticketSchema, 'not EJBCA’s');
  const earlier = await findEarlier(ejbca, request, signal);
  if (earlier !== undefined) return earlier;
  const { approval, password } = ticket;
  if (approval === null) return pending(ejbca, ticket);
  const step: Step = {
    doing: 'Finalizing',
    path: `certificate/${encodeURIComponent(approval)}/finalize`,
    body: { password, response_format: 'DER' },
    password,
    ticketIn: () => ticket,
    isDecision: (status, words) => status === 400 && /reject|denied|expired/i.test(words),
  };
  return take(ejbca, step, request, signal);
}

/** What enrolling and finalizing have in common. */
interface Step {
  readonly doing: string;
  readonly path: string;
  readonly body: object;
  readonly password: string;
  /** Of an answer that says that approval is needed. */
  ticketIn(answer: JsonAnswer): Ticket;
  /** Whether EJBCA's words decide against the request. */
  isDecision(status: number, words: string): boolean;
}

async function take(
  ejbca: Ejbca,
  { doing, path, body, password, ticketIn, isDecision }: Step,
  request: IssueRequest,
  signal: AbortSignal,
): Promise<Issuance> {
  const { api, credentials } = ejbca;
  const answer = await credentials.send({ method: 'POST', path, body }, signal);
  if (answer.status === 200 || answer.status === 201) {
    const { certificate, certificate_chain } = api.read(answer, certificateAnswer, theAnswer);
    const leaf = certificateBytes(certificate);
    if (!certificate_chain?.length) return withChain(ejbca, leaf, request, signal);
    return issuedAnswer([leaf, ...certificate_chain.map(certificateBytes)], request);
  }
  if (answer.status === 202) return pending(ejbca, ticketIn(answer), answer);
  if (answer.own !== undefined) {
    const reason = api.words(answer.own, [password]);
    if (isDecision(answer.status, reason)) return { kind: 'rejected', reason };
  }
  throw api.problem(doing, answer, [password]);
}

/** The certificate that an earlier order with this requestId got; the oldest if there are several. */
async function findEarlier(
  ejbca: Ejbca,
  request: IssueRequest,
  signal: AbortSignal,
): Promise<Issuance | undefined> {
  const { options, api, credentials } = ejbca;
  if (!options.lookUp) return undefined;
  const criteria = [
    { property: 'QUERY', value: usernameOf(options, request), operation: 'EQUAL' },
    { property: 'STATUS', value: 'CERT_ACTIVE', operation: 'EQUAL' },
  ];
  const body = { max_number_of_results: 10, criteria };
  const call = { method: 'POST', path: 'certificate/search', body, safe: true } as const;
  const answer = await credentials.send(call, signal);
  if (answer.status !== 200) throw api.problem('Searching for the order', answer);
  const found = api.read(answer, searchAnswer, theAnswer).certificates.map((one) => {
    const { certificate } = issuedAnswer([certificateBytes(one.certificate)], request);
    return readCertificate(certificate);
  });
  const [oldest] = found
    .filter(({ subjectPublicKeyInfo }) =>
      Buffer.from(subjectPublicKeyInfo).equals(request.subjectPublicKeyInfo),
    )
    .toSorted((a, b) => a.notBefore - b.notBefore);
  return oldest === undefined ? undefined : withChain(ejbca, oldest.der, request, signal);
}

/** The body of pkcs10enroll. Names come from the CSR, validity and usages from the certificate profile. */
function enrolment(options: Options, request: IssueRequest, password: string): object {
  const { certificateAuthority, endEntityProfile, certificateProfile } = options;
  const profile = request.wanted.template ?? certificateProfile;
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
    username: usernameOf(options, request),
    password,
    include_chain: true,
    response_format: 'DER',
  };
}

function usernameOf({ usernamePrefix }: Options, { requestId }: IssueRequest): string {
  return `${usernamePrefix}${requestId}`;
}

function pending({ options, clock }: Ejbca, ticket: Ticket, answer?: JsonAnswer): Issuance {
  const usualMs = options.pollSeconds * 1_000;
  const pollAfterMs = pauseOf(answer?.headers ?? {}, clock.now(), usualMs);
  return { kind: 'pending', ticket, pollAfterMs };
}

/** The issuer's chain, for answers that bring none. Where EJBCA gives none either, `roots` must do. */
async function withChain(
  { credentials }: Ejbca,
  leaf: Uint8Array,
  request: IssueRequest,
  signal: AbortSignal,
): Promise<Issuance> {
  const issued = issuedAnswer([leaf], request);
  const path = `ca/${encodedName(readCertificate(leaf).issuer)}/certificate/download`;
  const answer = await credentials.send({ method: 'GET', path }, signal);
  if (answer.status !== 200) return issued;
  try {
    return { ...issued, chain: readCertificates(answer.body) };
  } catch (error) {
    throw new ProvisioningError('ca-bad-answer', 'The CA’s chain from EJBCA is not PEM.', {
      cause: error,
    });
  }
}

function encodedName(issuer: Uint8Array): string {
  return encodeURIComponent(formatName(decodeName(issuer)));
}
