import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import {
  type CertificateAuthority,
  type ConnectContext,
  defineAdapter,
  type Issuance,
  type IssueRequest,
} from '../../src/plug-in/certificate-authority.ts';
import type { Opaque } from '../../src/plug-in/opaque.ts';
import { secretReference } from '../../src/plug-in/secret.ts';
import type { Clock } from '../../src/time/clock.ts';
import { connectionOptions, plainHttpOption, refuseUnsafeUrl } from '../shared/connection.ts';
import { issuedPem } from '../shared/issued-pem.ts';
import { type Dialect, type JsonApi, openApi } from '../shared/json-api.ts';
import { probe } from '../shared/probe.ts';
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

interface Webhook {
  readonly options: Options;
  readonly api: JsonApi;
  readonly secrets: readonly string[];
  readonly clock: Clock;
}

export default defineAdapter({
  kind: 'webhook',
  options,
  async connect(given, context, signal) {
    signal.throwIfAborted();
    const webhook = await webhookOf(given, context);
    return {
      kind: 'webhook',
      features: {
        idempotent: given.idempotent,
        pending: true,
        revoke: given.revoke,
        keyTypes: ['rsa', 'ec'],
        mayDrop: [],
      },
      check: (signal) => check(webhook, signal),
      async issue(request, signal) {
        const answer = await post(webhook, issueMessage(request), [], signal);
        return issuanceOf(webhook, answer, request);
      },
      async collect(ticket, request, signal) {
        const message = collectMessage(request, ticket);
        const answer = await post(webhook, message, textsOf(ticket), signal);
        return issuanceOf(webhook, answer, request, ticket);
      },
      ...(given.revoke ? { revoke: revocation(webhook) } : {}),
      [Symbol.asyncDispose]: () => webhook.api[Symbol.asyncDispose](),
    };
  },
});

async function webhookOf(given: Options, context: ConnectContext): Promise<Webhook> {
  const { url, healthUrl, secret, otherSecret, allowPlainHttp } = given;
  const secrets = [await context.readSecret(secret)];
  if (otherSecret !== undefined) secrets.push(await context.readSecret(otherSecret));
  for (const each of healthUrl === undefined ? [url] : [url, healthUrl]) {
    refuseUnsafeUrl(each, allowPlainHttp);
  }
  const api = await openApi(given, context, { root: '', dialect, secrets });
  return { options: given, api, secrets, clock: context.clock };
}

/** Only an answer in JSON may reject an order: a status may come from anything in between. */
const dialect: Dialect = {
  said: (_call, status) => `The service answered ${status}`,
  ownWords: () => undefined,
  hint: () =>
    'Check url and secret. A service that decides against an order says so with 200 and {"status": "rejected"}.',
};

async function check(webhook: Webhook, signal: AbortSignal): Promise<void> {
  const { api, options } = webhook;
  const { url, healthUrl } = options;
  if (healthUrl === undefined) {
    const odd = await probe(api.http, url, signal);
    if (odd !== undefined) throw api.problem('', odd);
    return;
  }
  const headers = signed(webhook, '');
  const answer = await api.send({ method: 'GET', path: healthUrl, headers }, signal);
  if (answer.status < 200 || answer.status > 299) throw api.problem('', answer);
}

function revocation(webhook: Webhook): NonNullable<CertificateAuthority['revoke']> {
  return async (certificate, reason, signal) => {
    const answer = await post(webhook, revokeMessage(certificate, reason), [], signal);
    if (answer.status !== 'revoked') throw unexpected(answer.status, 'revoke');
  };
}

async function post(
  webhook: Webhook,
  message: unknown,
  confidences: readonly string[],
  signal: AbortSignal,
): Promise<WebhookAnswer> {
  const { api, options } = webhook;
  const body = JSON.stringify(message);
  const call = { method: 'POST', path: options.url, body, headers: signed(webhook, body) } as const;
  const answer = await api.send(call, signal);
  if (answer.status < 200 || answer.status > 299) throw api.problem('', answer, confidences);
  return readAnswer(answer.json);
}

function signed({ secrets, clock }: Webhook, body: string): Record<string, string> {
  return { [signatureHeader]: signatureOf(body, secrets, clock.now()) };
}

function issuanceOf(
  { api, options }: Webhook,
  answer: WebhookAnswer,
  request: IssueRequest,
  earlier?: Opaque,
): Issuance {
  switch (answer.status) {
    case 'issued':
      return issuedPem([answer.certificatesPem], request, 'certificatesPem');
    case 'pending': {
      const ticket = (answer.ticket as Opaque | undefined) ?? earlier;
      if (ticket === undefined) {
        throw new ProvisioningError('ca-bad-answer', 'The answer is `pending` without a ticket.');
      }
      const seconds = answer.pollAfterSeconds ?? options.pollSeconds;
      return { kind: 'pending', ticket, pollAfterMs: seconds * 1_000 };
    }
    case 'rejected':
      return { kind: 'rejected', reason: api.words(answer.reason, textsOf(earlier ?? null)) };
    default:
      throw unexpected(answer.status, 'an order');
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
