import { createHmac, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { decodePem, encodePem } from '../../../src/x509/pem.ts';
import { SigningCa } from '../../support/signing-ca.ts';
import {
  type ReceivedRequest,
  ScriptedHttpServer,
  type ServerAnswer,
} from './scripted-http-server.ts';

const schemaFile = `${import.meta.dirname}/../../../docs/authorities/webhook.schema.json`;
const published = JSON.parse(readFileSync(schemaFile, 'utf8'));
const requestSchema = z.fromJSONSchema(published.$defs.request);
const toleranceSeconds = 300;

/** What the service does with the next orders, a word each; without one it serves. */
export type Word = 'pend' | 'still' | 'reject' | 'serve';

/**
 * An administrator's service as docs/authorities/webhook.schema.json and docs/develop/adapters.md (“webhook”) describe it. It
 * refuses what is not signed with its secret, is older than five minutes, or is not as the schema says.
 */
export class WebhookService implements AsyncDisposable {
  readonly ca = new SigningCa('Webhook double');
  readonly script: Word[] = [];
  readonly server: ScriptedHttpServer;
  readonly #secrets: readonly string[];
  readonly #issued = new Map<string, string>();

  private constructor(secrets: readonly string[], server: ScriptedHttpServer) {
    this.#secrets = secrets;
    this.server = server;
  }

  static async start(secrets: readonly string[]): Promise<WebhookService> {
    const server: ScriptedHttpServer = await ScriptedHttpServer.start((request) =>
      service.#answer(request),
    );
    const service: WebhookService = new WebhookService(secrets, server);
    return service;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  #answer(request: ReceivedRequest): ServerAnswer {
    const problem = this.#signatureProblem(request);
    if (problem !== undefined) return { status: 401, body: problem };
    if (request.path === '/health' && request.method === 'GET') return { status: 204 };
    if (request.path !== '/certprov') return { status: 404 };
    if (request.method !== 'POST') return { status: 405 };
    if (request.headers['content-type'] !== 'application/json') return { status: 415 };
    const message = JSON.parse(request.body);
    const parsed = requestSchema.safeParse(message);
    if (!parsed.success) return { status: 400, body: z.prettifyError(parsed.error) };
    if (message.call === 'revoke') return { status: 200, body: { status: 'revoked' } };
    return { status: 200, body: this.#order(message) };
  }

  #order(message: {
    readonly requestId: string;
    readonly csrPem: string;
    readonly validityDays: number;
    readonly ticket?: { readonly key: string };
  }): object {
    const word = this.script.shift() ?? 'serve';
    if (word === 'pend') {
      const ticket = { order: message.requestId, key: `s3cret-${message.requestId}` };
      return { status: 'pending', ticket, pollAfterSeconds: 2.5 };
    }
    if (word === 'still') return { status: 'pending' };
    if (word === 'reject') {
      return { status: 'rejected', reason: `Not for ${message.ticket?.key ?? 'you'}.` };
    }
    const earlier = this.#issued.get(message.requestId);
    const pem = earlier ?? this.#sign(message.csrPem, message.validityDays);
    this.#issued.set(message.requestId, pem);
    return { status: 'issued', certificatesPem: pem };
  }

  #sign(csrPem: string, validityDays: number): string {
    const csr = decodePem(csrPem, 'CERTIFICATE REQUEST')[0]?.der ?? Buffer.of();
    const certificate = this.ca.sign(csr, { validityDays });
    return encodePem('CERTIFICATE', certificate) + encodePem('CERTIFICATE', this.ca.issuing);
  }

  #signatureProblem({ headers, body }: ReceivedRequest): string | undefined {
    const header = String(headers['certprov-signature'] ?? '');
    const [, at = '', rest = ''] = /^t=(\d+)((?:,v1=[0-9a-f]{64})+)$/.exec(header) ?? [];
    if (at === '') return 'The signature is missing or malformed.';
    if (Math.abs(Number(at) - Date.now() / 1_000) > toleranceSeconds)
      return 'The signature is old.';
    const given = rest
      .split(',v1=')
      .slice(1)
      .map((hex) => Buffer.from(hex, 'hex'));
    const good = this.#secrets.some((secret) => {
      const right = createHmac('sha256', secret).update(`${at}.${body}`).digest();
      return given.some((one) => timingSafeEqual(one, right));
    });
    return good ? undefined : 'The signature is wrong.';
  }
}
