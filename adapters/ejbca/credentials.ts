import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import type { ConnectContext } from '../../src/plug-in/certificate-authority.ts';
import { certificateFile } from '../../src/plug-in/pem-file.ts';
import { secretReference } from '../../src/plug-in/secret.ts';
import type { AdapterHttp } from '../shared/http.ts';
import { jsonBody } from '../shared/json-answer.ts';
import type { JsonAnswer, JsonApi } from '../shared/json-api.ts';
import { type Fetched, Kept } from '../shared/kept.ts';
import { neededBy } from '../shared/needed-options.ts';
import { serverWords } from '../shared/server-words.ts';
import { statusProblem } from '../shared/status-problem.ts';

export const authOptions = z
  .strictObject({
    method: z
      .enum(['certificate', 'bearer', 'oauth'])
      .describe(
        '`certificate`: the TLS client certificate (certFile, keyFile) says who we are; `bearer`: a token that exists already; `oauth`: one from an OAuth provider by client credentials.',
      ),
    token: secretReference
      .optional()
      .describe('For `bearer`. A file is read anew when EJBCA refuses the token.'),
    tokenUrl: z
      .url({ protocol: /^https?$/ })
      .optional()
      .describe('For `oauth`: the provider’s token endpoint.'),
    clientId: z.string().min(1).optional().describe('For `oauth`.'),
    clientSecret: secretReference.optional().describe('For `oauth`.'),
    scope: z.string().min(1).optional().describe('For `oauth`, where the provider wants one.'),
    audience: z.string().min(1).optional().describe('For `oauth`, where the provider wants one.'),
    caFile: certificateFile
      .optional()
      .describe(
        'For `oauth`: PEM file of the CAs that the provider’s certificate may chain to, instead of the system’s.',
      ),
  })
  .superRefine(
    neededBy({
      certificate: [],
      bearer: ['token'],
      oauth: ['tokenUrl', 'clientId', 'clientSecret'],
    }),
  );

export type AuthOptions = z.output<typeof authOptions>;

/** A provider's answer (RFC 6749 5.1). */
const tokenAnswer = z.object({
  access_token: z.string().min(1),
  token_type: z.string().regex(/^bearer$/i),
  expires_in: z.number().positive().optional(),
});

/** A provider's refusal (RFC 6749 5.2). */
const refusal = z.object({ error: z.string() });

/** How long a token is used whose provider does not say when it ends. */
const usualLifeSeconds = 300;

/** Calls to EJBCA with a bearer token, or with the client certificate alone. */
export class Credentials implements AsyncDisposable {
  readonly #auth: AuthOptions;
  readonly #api: JsonApi;
  /** To the provider: it need not trust, nor be trusted, as EJBCA does. */
  readonly #provider: AdapterHttp;
  readonly #context: ConnectContext;
  readonly #token: Kept<string>;

  constructor(auth: AuthOptions, api: JsonApi, provider: AdapterHttp, context: ConnectContext) {
    this.#auth = auth;
    this.#api = api;
    this.#provider = provider;
    this.#context = context;
    this.#token = new Kept(context.clock, (_held, signal) => this.#fetch(signal));
  }

  /** A 401 to a token is answered once with a new one: nothing was carried out. */
  async send(call: Parameters<JsonApi['send']>[0], signal: AbortSignal): Promise<JsonAnswer> {
    if (this.#auth.method === 'certificate') return this.#api.send(call, signal);
    return this.#token.using(
      (token) => this.#api.send({ ...call, headers: { authorization: `Bearer ${token}` } }, signal),
      ({ status }) => status === 401,
      signal,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#token[Symbol.dispose]();
    await this.#provider[Symbol.asyncDispose]();
    await this.#api[Symbol.asyncDispose]();
  }

  async #fetch(signal: AbortSignal): Promise<Fetched<string>> {
    const now = this.#context.clock.now();
    const { value, seconds } = await (this.#auth.method === 'oauth'
      ? this.#fromProvider(signal)
      : this.#fromReference());
    this.#api.keepSecret(value);
    return { value, renewAt: now + seconds * 900 };
  }

  async #fromReference() {
    const { token } = this.#auth;
    if (token === undefined) throw new Error('The options were not checked.');
    const value = (await this.#context.readSecret(token)).trim();
    return { value, seconds: usualLifeSeconds };
  }

  /** The client credentials grant (RFC 6749 4.4), the client authenticated by Basic (2.3.1). */
  async #fromProvider(signal: AbortSignal) {
    const { tokenUrl, clientId, clientSecret, scope, audience } = this.#auth;
    if (tokenUrl === undefined || clientId === undefined || clientSecret === undefined) {
      throw new Error('The options were not checked.');
    }
    const secret = await this.#context.readSecret(clientSecret);
    this.#api.keepSecret(secret);
    const form = new URLSearchParams({ grant_type: 'client_credentials' });
    if (scope !== undefined) form.set('scope', scope);
    if (audience !== undefined) form.set('audience', audience);
    const pair = `${formEncoded(clientId)}:${formEncoded(secret)}`;
    const basic = Buffer.from(pair).toString('base64');
    const headers = {
      authorization: `Basic ${basic}`,
      'content-type': 'application/x-www-form-urlencoded',
      accept: 'application/json',
    };
    const answer = await this.#provider.request(
      { method: 'POST', url: tokenUrl, headers, body: form.toString(), safe: true },
      signal,
    );
    const json = jsonBody(answer.body);
    if (answer.status !== 200) {
      throw statusProblem(answer, {
        what: `The OAuth provider answered ${answer.status}: ${serverWords(answer.body, [secret, basic]) || 'nothing'}`,
        isOwn: refusal.safeParse(json).success,
        now: this.#context.clock.now(),
        hint: 'Check tokenUrl, clientId and clientSecret.',
      });
    }
    const parsed = tokenAnswer.safeParse(json);
    if (!parsed.success) {
      throw new ProvisioningError(
        'ca-bad-answer',
        'The OAuth provider’s answer is no bearer token (RFC 6749 5.1). Check tokenUrl.',
      );
    }
    const { access_token: value, expires_in: seconds = usualLifeSeconds } = parsed.data;
    return { value, seconds };
  }
}

function formEncoded(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1);
}
