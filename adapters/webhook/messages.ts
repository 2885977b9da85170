import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import type { IssueRequest, RevocationReason } from '../../src/plug-in/certificate-authority.ts';
import type { Opaque } from '../../src/plug-in/opaque.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { readAs } from '../shared/json-answer.ts';
import { orderJson } from '../shared/order-json.ts';

/*
 * What goes over the wire, both ways. docs/authorities/webhook.schema.json is made from these schemas and a test holds
 * the two together. Names once given here stay: services of others read them.
 */

const text = z.string();
/** Any JSON. (z.json() refers to itself, which the published schema could not show in place.) */
const opaque = z.union([
  z.string(),
  z.number(),
  z.boolean(),
  z.null(),
  z.array(z.unknown()),
  z.record(z.string(), z.unknown()),
]);

const attribute = z.strictObject({
  type: text.describe('Object identifier in dots.'),
  value: text,
});

const requestedBy = z
  .strictObject({
    kind: z.enum(['device', 'user']),
    deviceDirectoryApiId: text.optional(),
    serialNumber: text.optional(),
    userDirectoryApiId: text.optional(),
    userPrimaryEmail: text.optional(),
  })
  .describe('Who asks, as Google’s record says.');

/** What an order says, with the call `issue` as with `collect`. */
const order = {
  requestId: z
    .string()
    .regex(/^[0-9a-f]{32}$/)
    .describe(
      'The same for every repetition of one order, after a crash too: the idempotency key.',
    ),
  processId: text.describe('Google’s id of the certificate provisioning process.'),
  requestedBy,
  keyType: z.enum(['rsa', 'ec']),
  subject: text.describe('The name that is asked for, in the string form of RFC 4514.'),
  subjectRdns: z
    .array(z.array(attribute))
    .describe('The same name in the order of its encoding: RDNs, each a list of attributes.'),
  subjectAltNames: z.array(
    z.strictObject({ type: z.enum(['dns', 'email', 'upn', 'uri']), value: text }),
  ),
  keyUsages: z.array(
    z.enum([
      'digitalSignature',
      'nonRepudiation',
      'keyEncipherment',
      'dataEncipherment',
      'keyAgreement',
    ]),
  ),
  extendedKeyUsages: z.array(text).describe('Object identifiers in dots.'),
  validityDays: z.number().positive(),
  template: text.nullable().describe('The template of the profile, or null.'),
  securityIdentifier: text
    .optional()
    .describe(
      'The SID for Microsoft’s extension 1.3.6.1.4.1.311.25.2, where the profile asks for one; the CSR has it.',
    ),
  csrPem: text.describe('PKCS#10, PEM. Its signature was verified against the device’s key.'),
};

const version = z.literal(1).describe('Of this protocol.');

/** The body of a POST, told apart by `call`. */
export const webhookRequest = z.discriminatedUnion('call', [
  z
    .strictObject({ version, call: z.literal('issue'), ...order })
    .describe('Asks for a certificate.'),
  z
    .strictObject({
      version,
      call: z.literal('collect'),
      ...order,
      ticket: opaque.describe('What the answer `pending` brought.'),
    })
    .describe('Asks after a pending order.'),
  z
    .strictObject({
      version,
      call: z.literal('revoke'),
      certificatePem: text,
      serialNumber: text.describe('Upper-case hexadecimal.'),
      reason: z.enum(['unspecified', 'keyCompromise', 'superseded', 'cessationOfOperation']),
    })
    .describe('Revokes; also to be answered `revoked` when that was done before.'),
]);

const longestTicket = 16 * 1024;

/** The body of an answer with a 2xx status. */
export const webhookAnswer = z.discriminatedUnion('status', [
  z
    .object({
      status: z.literal('issued'),
      certificatesPem: text
        .min(1)
        .describe('PEM: the end-entity certificate first, then its chain.'),
    })
    .describe('To issue and collect.'),
  z
    .object({
      status: z.literal('pending'),
      ticket: opaque
        .optional()
        .refine(
          (ticket) => ticket === undefined || JSON.stringify(ticket).length <= longestTicket,
          `longer than ${longestTicket} characters`,
        )
        .describe(
          'Any JSON up to 16 KiB that lets the order be found again; it comes back with collect. May be left out in an answer to collect: then the earlier one stays. Required in an answer to issue.',
        ),
      pollAfterSeconds: z.number().positive().max(86_400).optional(),
    })
    .describe('To issue and collect: not decided yet.'),
  z
    .object({
      status: z.literal('rejected'),
      reason: text.min(1).describe('For operators; the device never sees it.'),
    })
    .describe('To issue and collect: decided against for good. The device is told.'),
  z.object({ status: z.literal('revoked') }).describe('To revoke.'),
]);

type WebhookRequest = z.input<typeof webhookRequest>;
export type WebhookAnswer = z.output<typeof webhookAnswer>;

export function issueMessage(request: IssueRequest): WebhookRequest {
  return { version: 1, call: 'issue', ...orderJson(request) };
}

export function collectMessage(request: IssueRequest, ticket: Opaque): WebhookRequest {
  return {
    version: 1,
    call: 'collect',
    ...orderJson(request),
    ticket: ticket as z.input<typeof opaque>,
  };
}

export function revokeMessage(certificate: Uint8Array, reason: RevocationReason): WebhookRequest {
  const { serialNumber } = readCertificate(certificate);
  const certificatePem = encodePem('CERTIFICATE', certificate);
  return { version: 1, call: 'revoke', certificatePem, serialNumber, reason };
}

/** @throws {ProvisioningError} `ca-bad-answer` with what is wrong, not with what was said. */
export function readAnswer(json: unknown): WebhookAnswer {
  if (json === undefined) throw new ProvisioningError('ca-bad-answer', 'The answer is not JSON.');
  const problem = 'The answer is not as docs/authorities/webhook.schema.json says';
  return readAs(json, webhookAnswer, problem);
}
