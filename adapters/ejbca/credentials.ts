import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import type { ConnectContext } from '../../src/plug-in/certificate-authority.ts';
import { certificateFile } from '../../src/plug-in/pem-file.ts';
import { secretReference } from '../../src/plug-in/secret.ts';
import { untilAborted } from '../../src/time/until-aborted.ts';
import { type AdapterHttp, retryAfterOf } from '../shared/http.ts';
import { jsonBody } from '../shared/json-body.ts';
import { serverWords } from '../shared/server-words.ts';

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
  .superRefine((auth, context) => {
    for (const key of requiredKeys[auth.method]) {
      if (auth[key] !== undefined) continue;
      const message = `is needed for the method ${auth.method}`;
      context.addIssue({ code: 'custom', path: [key], message });
    }
  });

const requiredKeys = {
  certificate: [],
  bearer: ['token'],
  oauth: ['tokenUrl', 'clientId', 'clientSecret'],
} as const;

export type AuthOptions = z.output<typeof authOptions>;

/** A provider's answer (RFC 6749 5.1). */
const tokenAnswer = z.object({
  access_token: z.string().min(1),
  token_type: z.string().regex(/^bearer$/i),
  expires_in: z.number().positive().optional(),
});

/** How long a token is used whose provider does not say when it ends. */
const usualLifeSeconds = 300;

interface Token {
  readonly value: string;
  readonly renewAt: number;
}

/** The bearer token for EJBCA, where there is one. However many calls wait for it, it is fetched once. */
export class Credentials implements AsyncDisposable {
  readonly #auth: AuthOptions;
  /** To the provider: it need not trust, nor be trusted, as EJBCA does. */
  readonly #http: AdapterHttp;
  readonly #context: ConnectContext;
  readonly #closing = new AbortController();
  readonly #secrets = new Set<string>();
  #token: Token | undefined;
  #fetching: Promise<Token> | undefined;

  constructor(auth: AuthOptions, http: AdapterHttp, context: ConnectContext) {
    this.#auth = auth;
    this.#http = http;
    this.#context = context;
  }

  /** What must not be repeated in a message. */
  get secrets(): Iterable<string> {
    return this.#secrets;
  }

  /** Whether another token may be had when one is refused. */
  get isRenewable(): boolean {
    return this.#auth.method !== 'certificate';
  }

  /** The Authorization header's value; undefined where the client certificate is all there is. */
  async header(signal: AbortSignal): Promise<string | undefined> {
    if (!this.isRenewable) return undefined;
    const held = this.#token;
    if (held !== undefined && this.#context.clock.now() < held.renewAt) {
      return `Bearer ${held.value}`;
    }
    this.#fetching ??= this.#fetch().finally(() => {
      this.#fetching = undefined;
    });
    const { value } = await untilAborted(this.#fetching, signal);
    return `Bearer ${value}`;
  }

  /** The token behind this header was refused. */
  invalidate(header: string | undefined): void {
    if (this.#token !== undefined && header === `Bearer ${this.#token.value}`) {
      this.#token = undefined;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new ProvisioningError('ca-unavailable', 'The authority is closed.'));
    await this.#http[Symbol.asyncDispose]();
  }

  async #fetch(): Promise<Token> {
    const { auth, now } = { auth: this.#auth, now: this.#context.clock.now() };
    const { value, seconds } =
      auth.method === 'oauth' ? await this.#fromProvider() : await this.#fromReference();
    this.#secrets.add(value);
    const [oldest] = this.#secrets;
    if (this.#secrets.size > 20 && oldest !== undefined) this.#secrets.delete(oldest);
    this.#token = { value, renewAt: now + seconds * 900 };
    return this.#token;
  }

  async #fromReference(): Promise<{ value: string; seconds: number }> {
    const { token } = this.#auth;
    if (token === undefined) throw new Error('The options were not checked.');
    const value = (await this.#context.readSecret(token)).trim();
    return { value, seconds: usualLifeSeconds };
  }

  /** The client credentials grant (RFC 6749 4.4), the client authenticated by Basic (2.3.1). */
  async #fromProvider(): Promise<{ value: string; seconds: number }> {
    const { tokenUrl, clientId, clientSecret, scope, audience } = this.#auth;
    if (tokenUrl === undefined || clientId === undefined || clientSecret === undefined) {
      throw new Error('The options were not checked.');
    }
    const secret = await this.#context.readSecret(clientSecret);
    this.#secrets.add(secret);
    const form = new URLSearchParams({ grant_type: 'client_credentials' });
    if (scope !== undefined) form.set('scope', scope);
    if (audience !== undefined) form.set('audience', audience);
    const pair = `${formEncoded(clientId)}:${formEncoded(secret)}`;
    const headers = {
      authorization: `Basic ${Buffer.from(pair).toString('base64')}`,
      'content-type': 'application/x-www-form-urlencoded',
      accept: 'application/json',
    };
    const answer = await this.#http.request(
      { method: 'POST', url: tokenUrl, headers, body: form.toString(), safe: true },
      this.#closing.signal,
    );
    const said = () => serverWords(answer.body, this.#secrets) || 'nothing';
    if (answer.status !== 200) {
      const passes = answer.status >= 500 || answer.status === 429;
      const retryAfterMs = retryAfterOf(answer.headers, this.#context.clock.now());
      throw new ProvisioningError(
        passes ? 'ca-unavailable' : 'ca-misconfigured',
        `The OAuth provider answered ${answer.status}: ${said()}`,
        retryAfterMs === undefined ? {} : { retryAfterMs },
      );
    }
    const parsed = tokenAnswer.safeParse(jsonBody(answer.body));
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
