import { ProvisioningError } from '../../src/errors.ts';
import type { Clock } from '../../src/time/clock.ts';
import { messageOf } from '../../src/words/message-of.ts';
import type { AdapterHttp, HttpAnswer } from '../shared/http.ts';
import { serverWords } from '../shared/server-words.ts';
import { statusProblem } from '../shared/status-problem.ts';
import { type MessageOptions, messageOptionsOf } from './algorithms.ts';
import {
  type CaCertificates,
  chooseCertificates,
  type Pins,
  readCaCertificates,
} from './ca-certificates.ts';

export interface ScepServerOptions {
  readonly url: string;
  readonly caIdentifier: string | undefined;
  readonly pins: Pins;
  readonly http: AdapterHttp;
  readonly clock: Clock;
}

/** What is known about a server before it is sent a message. */
export interface KnownServer {
  readonly ca: CaCertificates;
  readonly messages: MessageOptions;
}

/** A server is asked for its certificates and abilities again after this time. */
const freshForMs = 60 * 60_000;

/** The three operations of a SCEP server (RFC 8894 4). */
export class ScepServer {
  readonly #options: ScepServerOptions;
  #known: { readonly server: KnownServer; readonly until: number } | undefined;

  constructor(options: ScepServerOptions) {
    this.#options = options;
  }

  /** GetCACaps and GetCACert, from memory when they are fresh. */
  async known(signal: AbortSignal): Promise<KnownServer> {
    const { clock } = this.#options;
    if (this.#known !== undefined && clock.now() < this.#known.until) {
      return this.#known.server;
    }
    return this.refresh(signal);
  }

  /** GetCACaps and GetCACert (RFC 8894 3.5.1, 4.2), asked now. */
  async refresh(signal: AbortSignal): Promise<KnownServer> {
    const { clock, pins } = this.#options;
    const messages = await this.#messageOptions(signal);
    const answer = await this.#get('GetCACert', this.#options.caIdentifier, signal);
    this.#expectOk(answer, 'GetCACert', []);
    const ca = chooseCertificates(this.#read(answer.body), pins, clock.now());
    const server = { ca, messages };
    this.#known = { server, until: clock.now() + freshForMs };
    return server;
  }

  /**
   * PKIOperation (RFC 8894 4.3); the answer's bytes, whatever they are.
   * @param secrets are taken out of the server's words.
   */
  async operate(
    message: Uint8Array,
    messages: MessageOptions,
    secrets: readonly string[],
    signal: AbortSignal,
  ): Promise<Buffer> {
    let answer = messages.post ? await this.#post(message, signal) : undefined;
    // There are servers that say they take POST and then do not.
    if (answer === undefined || answer.status === 404 || answer.status === 405) {
      const base64 = Buffer.from(message).toString('base64');
      answer = await this.#get('PKIOperation', base64, signal);
    }
    this.#expectOk(answer, 'PKIOperation', secrets);
    return answer.body;
  }

  async #messageOptions(signal: AbortSignal): Promise<MessageOptions> {
    const answer = await this.#get('GetCACaps', this.#options.caIdentifier, signal);
    if (answer.status === 200) return messageOptionsOf(answer.body.toString('latin1'));
    // Servers older than GetCACaps do not know it: the least is assumed.
    if (answer.status === 400 || answer.status === 404 || answer.status === 501)
      return messageOptionsOf('');
    this.#expectOk(answer, 'GetCACaps', []);
    throw new ProvisioningError(
      'ca-bad-answer',
      `The SCEP server answered GetCACaps with HTTP ${answer.status}.`,
    );
  }

  #read(body: Uint8Array): ReturnType<typeof readCaCertificates> {
    try {
      return readCaCertificates(body);
    } catch (error) {
      throw new ProvisioningError(
        'ca-bad-answer',
        `The SCEP server's answer to GetCACert cannot be read: ${messageOf(error)} Is options.url that of a SCEP server?`,
        { cause: error },
      );
    }
  }

  #get(operation: string, message: string | undefined, signal: AbortSignal): Promise<HttpAnswer> {
    const url = this.#url(operation);
    // Encodes +, / and =, which base64 has and queries give a meaning.
    if (message !== undefined) url.searchParams.set('message', message);
    // An order may go by GET too.
    const safe = operation !== 'PKIOperation';
    return this.#options.http.request({ method: 'GET', url: url.href, safe }, signal);
  }

  #post(message: Uint8Array, signal: AbortSignal): Promise<HttpAnswer> {
    const { href } = this.#url('PKIOperation');
    const headers = { 'content-type': 'application/x-pki-message' };
    return this.#options.http.request(
      { method: 'POST', url: href, headers, body: message },
      signal,
    );
  }

  #url(operation: string): URL {
    const url = new URL(this.#options.url);
    url.searchParams.set('operation', operation);
    return url;
  }

  #expectOk(answer: HttpAnswer, operation: string, secrets: readonly string[]): void {
    if (answer.status === 200) return;
    throw statusError(answer, operation, secrets, this.#options.clock.now());
  }
}

/** What an HTTP status other than 200 means. Some servers say 500 to a wrong challenge; who reads the words can tell. */
export function statusError(
  answer: HttpAnswer,
  what: string,
  secrets: readonly string[],
  now: number,
): ProvisioningError {
  const words = serverWords(answer.body, secrets);
  return statusProblem(answer, {
    what: `The SCEP server answered ${what} with HTTP ${answer.status}${words === '' ? '' : `: ${words}`}`,
    isOwn: false,
    now,
    hint: 'Look at url.',
  });
}
