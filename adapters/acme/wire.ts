import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import type { Clock } from '../../src/time/clock.ts';
import type { AdapterHttp, HttpAnswer } from '../shared/http.ts';
import { readJson } from '../shared/json-answer.ts';
import { asProvisioningError, problemOf } from './problem.ts';
import type { Signatory, Signer } from './signer.ts';

const directoryShape = z.object({
  newNonce: z.url(),
  newAccount: z.url(),
  newOrder: z.url(),
  revokeCert: z.url().optional(),
});
export type Directory = z.output<typeof directoryShape>;

export interface WireOptions {
  readonly http: AdapterHttp;
  readonly clock: Clock;
  readonly directoryUrl: string;
  readonly signer: Signer;
}

/** RFC 8555 6.5: a nonce that is refused comes with a fresh one. A server that refuses six in a row is broken. */
const mostAttempts = 6;
const mostNonces = 20;

/** Signed requests to one ACME server (RFC 8555 6): its directory, nonces, and what it objects. */
export class AcmeWire {
  readonly #options: WireOptions;
  readonly #origin: string;
  #directory: Directory | undefined;
  #nonces: string[] = [];

  constructor(options: WireOptions) {
    this.#options = options;
    this.#origin = new URL(options.directoryUrl).origin;
  }

  /** Asks for the directory anew: it may have changed since the last time. */
  async refresh(signal: AbortSignal): Promise<Directory> {
    const { http, clock, directoryUrl: url } = this.#options;
    this.#directory = undefined;
    const answer = await http.request({ method: 'GET', url }, signal);
    if (answer.status !== 200) throw asProvisioningError(problemOf(answer, url, clock));
    const directory = readJson(answer, directoryShape, 'The ACME directory');
    for (const [what, place] of Object.entries(directory)) {
      if (place !== undefined) this.refuseElsewhere(place, what);
    }
    this.#directory = directory;
    return directory;
  }

  async directory(signal: AbortSignal): Promise<Directory> {
    return this.#directory ?? this.refresh(signal);
  }

  /** Whether a URL is one of this server's. */
  isHere(url: string): boolean {
    return URL.parse(url)?.origin === this.#origin;
  }

  /**
   * Sends a signed request. It is repeated only where the nonce was refused, and so nothing was done.
   *
   * @param payload undefined: POST-as-GET.
   * @throws {AcmeProblem} what the server objected.
   * @throws {ProvisioningError} no answer, or one that is not ACME.
   */
  async post(
    url: string,
    payload: object | undefined,
    signatory: Signatory,
    signal: AbortSignal,
  ): Promise<HttpAnswer> {
    const { http, clock, signer } = this.#options;
    this.refuseElsewhere(url, 'one of its resources');
    for (let attempt = 1; ; attempt++) {
      const nonce = this.#nonces.pop() ?? (await this.#newNonce(signal));
      const body = await signer.sign(payload, { url, nonce, ...signatory });
      const headers = { 'content-type': 'application/jose+json' };
      const answer = await http.request({ method: 'POST', url, headers, body }, signal);
      const { status } = answer;
      const isDone = status >= 200 && status < 300;
      const problem = isDone ? undefined : problemOf(answer, url, clock);
      // Those kept from before are as old as the one that was refused.
      if (problem?.type === 'badNonce') this.#nonces = [];
      this.#keepNonce(answer);
      if (problem === undefined) return answer;
      if (problem.type !== 'badNonce') throw problem;
      if (attempt < mostAttempts) continue;
      throw new ProvisioningError(
        'ca-unavailable',
        `The ACME server refused ${attempt} nonces of its own in a row: ${problem.message}`,
        { unanswered: false },
      );
    }
  }

  async #newNonce(signal: AbortSignal): Promise<string> {
    const { http, clock } = this.#options;
    const { newNonce: url } = await this.directory(signal);
    const answer = await http.request({ method: 'HEAD', url }, signal);
    if (answer.status >= 300) throw problemOf(answer, url, clock);
    const nonce = nonceOf(answer);
    if (nonce !== undefined) return nonce;
    throw new ProvisioningError(
      'ca-bad-answer',
      `${this.#origin} answered ${answer.status} to newNonce, without a Replay-Nonce (RFC 8555 7.2).`,
      { unanswered: false },
    );
  }

  #keepNonce(answer: HttpAnswer): void {
    const nonce = nonceOf(answer);
    if (nonce !== undefined && this.#nonces.length < mostNonces) this.#nonces.push(nonce);
  }

  /** What we sign for one server is not for another one to see, nor for whoever listens on the way. */
  refuseElsewhere(url: string, what: string): void {
    if (this.isHere(url)) return;
    throw new ProvisioningError(
      'ca-misconfigured',
      `The ACME server at ${this.#origin} says that ${what} is at ${URL.parse(url)?.origin ?? 'no URL'}. Nothing is sent there. If that is the right server, name its directory as directoryUrl; a CA behind a proxy must give its outer address.`,
      { unanswered: false },
    );
  }
}

/** RFC 8555 6.5.1: base64url, anything else is to be ignored. */
function nonceOf({ headers }: HttpAnswer): string | undefined {
  const value = headers['replay-nonce'];
  return typeof value === 'string' && /^[A-Za-z0-9_-]{1,1000}$/.test(value) ? value : undefined;
}
