import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import { isLoopback } from '../../src/network/host.ts';
import {
  type AuthorityFeatures,
  type CertificateAuthority,
  type ConnectContext,
  type CsrAdditions,
  defineAdapter,
  type Issuance,
  type IssueRequest,
  type PrepareRequest,
} from '../../src/plug-in/certificate-authority.ts';
import type { Opaque } from '../../src/plug-in/opaque.ts';
import { secretReference } from '../../src/plug-in/secret.ts';
import type { Clock } from '../../src/time/clock.ts';
import { connectHttp, connectionOptions } from '../shared/connection.ts';
import {
  type AdapterHttp,
  type HttpAnswer,
  type HttpRequest,
  retryAfterOf,
} from '../shared/http.ts';
import { ownCertificate } from '../shared/own-certificate.ts';
import { serverWords } from '../shared/server-words.ts';
import { beforeOrder, statusProblem } from '../shared/status-problem.ts';
import { additionsOf } from './csr-attributes.ts';
import { encodeBase64Lines, readCertificatesAnswer, readDerAnswer } from './encoding.ts';
import { followed } from './redirect.ts';
import { hasOwnWords, hintFor } from './refusal.ts';

/*
 * Enrollment over Secure Transport (RFC 7030, with RFC 8951 and RFC 9908). We are a registration authority:
 * the device's CSR is posted as it is, under our own credentials. Nothing identifies an order but its CSR, so a
 * pending one is asked after by the identical POST (RFC 7030 4.2.3).
 */

const options = z
  .strictObject({
    url: z
      .url({ protocol: /^https?$/ })
      .refine(isSafeUrl, 'must be https, as EST demands (RFC 7030 3.3); http only on loopback')
      .describe(
        'The server: `https://host[:port]`. The well-known path is added; a URL with a path of its own is used as it is.',
      ),
    label: z
      .string()
      .regex(/^[\w.~-]{1,100}$/, 'is one segment of a path, without slashes')
      .refine(
        (label) =>
          !/^(?:cacerts|simple(?:re)?enroll|fullcmc|serverkeygen|csrattrs|\.\.?)$/.test(label),
        'is the name of an EST operation',
      )
      .optional()
      .describe('The CA label, where the server serves several (RFC 7030 3.2.2).'),
    username: z
      .string()
      .min(1)
      .max(256)
      .regex(/^[^:]*$/, 'has no colon')
      .optional()
      .describe('HTTP Basic: who we are.'),
    password: secretReference.optional().describe('HTTP Basic: the password of `username`.'),
    ...connectionOptions,
    csrAttributes: z
      .boolean()
      .default(false)
      .describe(
        'Ask the server what it wants inside a CSR, before the device signs: key usages, a template, policies. Names are never taken from it, and what cannot be had is a warning in the log.',
      ),
  })
  .refine(
    ({ username, password }) => (username === undefined) === (password === undefined),
    'username and password belong together: give both or none',
  );

type Options = z.output<typeof options>;

export default defineAdapter({
  kind: 'est',
  options,
  async connect(given, context, signal) {
    signal.throwIfAborted();
    const password =
      given.password === undefined ? undefined : await context.readSecret(given.password);
    const http = await connectHttp(given, context);
    return new EstAuthority(given, password, http, context);
  },
});

/** What a pending answer may ask us to wait. */
const shortestPauseMs = 30_000;
const longestPauseMs = 6 * 3_600_000;
/** The CA's certificates change with its rollover; a check refreshes them more often than this. */
const cacertsLifeMs = 3_600_000;

class EstAuthority implements CertificateAuthority {
  readonly kind = 'est';
  readonly features: AuthorityFeatures = {
    // Servers know a repeated CSR while it is pending; whether after that, nothing promises.
    idempotent: false,
    pending: true,
    revoke: false,
    keyTypes: ['rsa', 'ec'],
    mayDrop: [],
  };
  readonly prepare?: NonNullable<CertificateAuthority['prepare']>;
  readonly #base: string;
  readonly #authorization: Readonly<Record<string, string>>;
  readonly #secrets: readonly string[];
  readonly #http: AdapterHttp;
  readonly #clock: Clock;
  readonly #warn: (message: string) => void;
  #cacerts: { readonly certificates: readonly Uint8Array[]; readonly at: number } | undefined;

  constructor(
    given: Options,
    password: string | undefined,
    http: AdapterHttp,
    { clock, warn = () => undefined }: ConnectContext,
  ) {
    this.#base = baseOf(given);
    const basic = Buffer.from(`${given.username}:${password}`).toString('base64');
    this.#authorization = password === undefined ? {} : { authorization: `Basic ${basic}` };
    this.#secrets = password === undefined ? [] : [password, basic];
    this.#http = http;
    this.#clock = clock;
    this.#warn = warn;
    if (given.csrAttributes) this.prepare = (request, signal) => this.#prepare(request, signal);
  }

  async check(signal: AbortSignal): Promise<void> {
    await this.#fetchCacerts(signal);
  }

  async issue(request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
    return this.#enroll(request, signal);
  }

  async collect(_ticket: Opaque, request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
    return this.#enroll(request, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }

  /** What the server wants inside a CSR is advice (RFC 7030 4.5.2): only a server that is away is waited for. */
  async #prepare(request: PrepareRequest, signal: AbortSignal): Promise<CsrAdditions> {
    const url = `${this.#base}/csrattrs`;
    const answer = await this.#send({ method: 'GET', url, headers: this.#authorization }, signal);
    // No attributes are wanted (RFC 7030 4.5.2), or the server does not know this operation.
    if ([204, 404, 501].includes(answer.status)) return {};
    if (answer.status === 200 && answer.body.length === 0) return {};
    const warn = (what: string) => this.#warn(`EST csrattrs of ${this.#base}: ${what}.`);
    if (answer.status !== 200) {
      const problem = this.#problem('csrattrs', answer);
      if (problem.code === 'ca-unavailable' || problem.code === 'ca-throttled') throw problem;
      warn(problem.message);
      return {};
    }
    try {
      return additionsOf(readDerAnswer(answer.body, 'The answer'), request, warn);
    } catch (error) {
      if (!(error instanceof ProvisioningError)) throw error;
      warn(error.message);
      return {};
    }
  }

  #send(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
    return followed(this.#http, request, signal);
  }

  async #enroll(request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
    signal.throwIfAborted();
    const authorities = await beforeOrder(this.#knownCacerts(signal));
    const answer = await this.#send(
      {
        method: 'POST',
        url: `${this.#base}/simpleenroll`,
        headers: {
          ...this.#authorization,
          'content-type': 'application/pkcs10',
          // Without meaning in HTTP (RFC 8951 3.1), but some servers insist on it.
          'content-transfer-encoding': 'base64',
          accept: 'application/pkcs7-mime',
        },
        body: encodeBase64Lines(request.csr),
      },
      signal,
    );
    switch (answer.status) {
      case 200:
        return this.#issued(request, answer, authorities);
      case 202:
        return { kind: 'pending', ticket: null, pollAfterMs: this.#pauseOf(answer) };
      case 400:
      case 422:
        if (hasOwnWords(answer)) {
          const said = serverWords(answer.body, this.#secrets);
          return { kind: 'rejected', reason: `HTTP ${answer.status}: ${said}` };
        }
        throw this.#problem('simpleenroll', answer);
      default:
        throw this.#problem('simpleenroll', answer);
    }
  }

  #issued(
    request: IssueRequest,
    { body }: HttpAnswer,
    authorities: readonly Uint8Array[],
  ): Issuance {
    const certificates = readCertificatesAnswer(body, 'The answer to simpleenroll');
    const own = ownCertificate(certificates, request, authorities);
    if (own !== undefined) return { kind: 'issued', ...own };
    throw new ProvisioningError(
      'ca-bad-answer',
      `None of the ${certificates.length} certificates in the answer to simpleenroll has the device’s key.`,
    );
  }

  /** Needed for the chain, as answers usually hold the leaf alone; asked for before anything is ordered. */
  async #knownCacerts(signal: AbortSignal): Promise<readonly Uint8Array[]> {
    const known = this.#cacerts;
    const fresh = known !== undefined && this.#clock.now() - known.at < cacertsLifeMs;
    return fresh ? known.certificates : this.#fetchCacerts(signal);
  }

  async #fetchCacerts(signal: AbortSignal): Promise<readonly Uint8Array[]> {
    const request = { method: 'GET', url: `${this.#base}/cacerts` } as const;
    let answer = await this.#send(request, signal);
    if (answer.status === 401) {
      // For everybody, says RFC 7030 4.1.2; some servers ask even here who we are.
      const headers = this.#authorization;
      answer = await this.#send({ ...request, headers }, signal);
    }
    if (answer.status !== 200) throw this.#problem('cacerts', answer);
    const certificates = readCertificatesAnswer(answer.body, 'The answer to cacerts');
    this.#cacerts = { certificates, at: this.#clock.now() };
    return certificates;
  }

  #pauseOf({ headers }: HttpAnswer): number {
    const asked = retryAfterOf(headers, this.#clock.now()) ?? shortestPauseMs;
    return Math.min(longestPauseMs, Math.max(shortestPauseMs, asked));
  }

  #problem(operation: string, answer: HttpAnswer): ProvisioningError {
    const said = serverWords(answer.body, this.#secrets);
    const where = `${this.#base}/${operation} answered ${answer.status}`;
    return statusProblem(answer, {
      what: said === '' ? where : `${where}: ${said}`,
      isOwn: hasOwnWords(answer),
      now: this.#clock.now(),
      hint: hintFor(answer.status, answer.headers),
    });
  }
}

function isSafeUrl(url: string): boolean {
  if (!URL.canParse(url)) return true; // Said already.
  const { protocol, hostname, username, search, hash } = new URL(url);
  const isSafe = protocol === 'https:' || isLoopback(hostname);
  return isSafe && username === '' && search === '' && hash === '';
}

function baseOf({ url, label }: Options): string {
  const { origin, pathname } = new URL(url);
  const path = pathname === '/' ? '/.well-known/est' : pathname.replace(/\/+$/, '');
  return `${origin}${path}${label === undefined ? '' : `/${label}`}`;
}
