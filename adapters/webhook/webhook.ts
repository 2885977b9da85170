import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import {
  type AuthorityFeatures,
  type CertificateAuthority,
  type ConnectContext,
  defineAdapter,
  type Issuance,
  type IssueRequest,
  type RevocationReason,
} from '../../src/plug-in/certificate-authority.ts';
import { issuedAnswer } from '../../src/plug-in/issued-answer.ts';
import type { Opaque } from '../../src/plug-in/opaque.ts';
import { secretReference } from '../../src/plug-in/secret.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { decodePem } from '../../src/x509/pem.ts';
import {
  connectHttp,
  connectionOptions,
  plainHttpOption,
  refuseUnsafeUrl,
} from '../shared/connection.ts';
import type { AdapterHttp, HttpAnswer } from '../shared/http.ts';
import { probe } from '../shared/probe.ts';
import { serverWords } from '../shared/server-words.ts';
import { statusProblem } from '../shared/status-problem.ts';
import {
  collectMessage,
  issueMessage,
  readAnswer,
  revokeMessage,
  type WebhookAnswer,
} from './messages.ts';
import { signatureHeader, signatureOf } from './signature.ts';

/*
 * A CA behind a web service of the administrator's own. Everything is a POST of JSON to one URL; what goes
 * over the wire is in docs/authorities/webhook.schema.json and docs/develop/adapters.md.
 */

const options = z.strictObject({
  url: z
    .url({ protocol: /^https?$/ })
    .describe('Where orders, questions after them and revocations are sent by POST.'),
  secret: secretReference.describe(
    'Signs every request: Certprov-Signature: t=<seconds>,v1=<HMAC-SHA256 of "t.body" in hexadecimal>.',
  ),
  otherSecret: secretReference
    .optional()
    .describe('Signs every request too, with a v1 of its own, while secrets are being changed.'),
  healthUrl: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe(
      'Asked by GET whether the service could issue now: any 2xx says yes. Without it OPTIONS of `url` only says whether somebody is there.',
    ),
  idempotent: z
    .boolean()
    .default(false)
    .describe(
      'True when the service answers a repeated requestId with the certificate that it gave the first time, also to two requests at once. Do not promise what it does not keep.',
    ),
  revoke: z.boolean().default(false).describe('Whether the service answers the call `revoke`.'),
  pollSeconds: z
    .number()
    .positive()
    .max(86_400)
    .default(60)
    .describe('How soon to ask after a pending order where the answer has no pollAfterSeconds.'),
  ...connectionOptions,
  allowPlainHttp: plainHttpOption,
});

type Options = z.output<typeof options>;

export default defineAdapter({
  kind: 'webhook',
  options,
  async connect(given, context, signal) {
    signal.throwIfAborted();
    const { secret, otherSecret, url, healthUrl } = given;
    const secrets = [await context.readSecret(secret)];
    if (otherSecret !== undefined) secrets.push(await context.readSecret(otherSecret));
    const urls = healthUrl === undefined ? [url] : [url, healthUrl];
    for (const url of urls) refuseUnsafeUrl(url, given.allowPlainHttp);
    return new WebhookAuthority(given, secrets, await connectHttp(given, context), context);
  },
});

class WebhookAuthority implements CertificateAuthority {
  readonly kind = 'webhook';
  readonly features: AuthorityFeatures;
  readonly revoke?: NonNullable<CertificateAuthority['revoke']>;
  readonly #options: Options;
  readonly #secrets: readonly string[];
  readonly #http: AdapterHttp;
  readonly #context: ConnectContext;

  constructor(
    given: Options,
    secrets: readonly string[],
    http: AdapterHttp,
    context: ConnectContext,
  ) {
    this.#options = given;
    this.#secrets = secrets;
    this.#http = http;
    this.#context = context;
    this.features = {
      idempotent: given.idempotent,
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
    signal.throwIfAborted();
    const { healthUrl } = this.#options;
    if (healthUrl === undefined) {
      const odd = await probe(this.#http, this.#options.url, signal);
      if (odd !== undefined) throw this.#problemOf(odd, []);
      return;
    }
    const headers = { [signatureHeader]: this.#sign('') };
    const answer = await this.#http.request({ method: 'GET', url: healthUrl, headers }, signal);
    this.#refuseFailure(answer, []);
  }

  async issue(request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
    signal.throwIfAborted();
    const answer = await this.#post(issueMessage(request), [], signal);
    return this.#issuance(answer, request, undefined);
  }

  async collect(ticket: Opaque, request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
    signal.throwIfAborted();
    const answer = await this.#post(collectMessage(request, ticket), textsOf(ticket), signal);
    return this.#issuance(answer, request, ticket);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }

  async #revoke(
    certificate: Uint8Array,
    reason: RevocationReason,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted();
    const { serialNumber } = readCertificate(certificate);
    const answer = await this.#post(revokeMessage(certificate, serialNumber, reason), [], signal);
    if (answer.status !== 'revoked') throw unexpected(answer.status, 'revoke');
  }

  async #post(
    message: unknown,
    confidences: readonly string[],
    signal: AbortSignal,
  ): Promise<WebhookAnswer> {
    const body = JSON.stringify(message);
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json',
      [signatureHeader]: this.#sign(body),
    };
    const { url } = this.#options;
    const answer = await this.#http.request({ method: 'POST', url, headers, body }, signal);
    this.#refuseFailure(answer, confidences);
    return readAnswer(answer.body);
  }

  #issuance(answer: WebhookAnswer, request: IssueRequest, earlier: Opaque | undefined): Issuance {
    switch (answer.status) {
      case 'issued':
        return issuedAnswer(certificatesOf(answer.certificatesPem), request);
      case 'pending': {
        const ticket = (answer.ticket as Opaque | undefined) ?? earlier;
        if (ticket === undefined) {
          throw new ProvisioningError('ca-bad-answer', 'The answer is `pending` without a ticket.');
        }
        const seconds = answer.pollAfterSeconds ?? this.#options.pollSeconds;
        return { kind: 'pending', ticket, pollAfterMs: seconds * 1_000 };
      }
      case 'rejected': {
        const confidences = [...this.#secrets, ...textsOf(earlier ?? null)];
        return { kind: 'rejected', reason: serverWords(answer.reason, confidences) };
      }
      default:
        throw unexpected(answer.status, 'an order');
    }
  }

  #sign(body: string): string {
    return signatureOf(body, this.#secrets, this.#context.clock.now());
  }

  /** Only an answer in JSON may reject an order: a status may come from anything in between. */
  #refuseFailure(answer: HttpAnswer, confidences: readonly string[]): void {
    if (answer.status < 200 || answer.status > 299) throw this.#problemOf(answer, confidences);
  }

  #problemOf(answer: HttpAnswer, confidences: readonly string[]): ProvisioningError {
    const { status, body } = answer;
    const said = serverWords(body, [...this.#secrets, ...confidences]) || 'nothing';
    return statusProblem(answer, {
      what: `The service answered ${status}: ${said}`,
      isOwn: false,
      now: this.#context.clock.now(),
      hint: 'Check url and secret. A service that decides against an order says so with 200 and {"status": "rejected"}.',
    });
  }
}

function certificatesOf(pem: string): Uint8Array[] {
  try {
    return decodePem(pem, 'CERTIFICATE').map(({ der }) => der);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ProvisioningError('ca-bad-answer', `certificatesPem: ${reason}`, { cause: error });
  }
}

/** A ticket may be secret, in each of its texts. */
function textsOf(ticket: Opaque): string[] {
  if (typeof ticket === 'string') return [ticket];
  if (typeof ticket !== 'object' || ticket === null) return [];
  return Object.values(ticket).flatMap(textsOf);
}

function unexpected(status: string, call: string): ProvisioningError {
  return new ProvisioningError('ca-bad-answer', `The answer to ${call} is \`${status}\`.`);
}
