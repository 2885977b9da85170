import { hash } from 'node:crypto';
import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import type { Clock } from '../../src/time/clock.ts';
import { type HttpAnswer, retryAfterOf } from '../shared/http.ts';
import { readJson } from '../shared/json-answer.ts';
import { AcmeProblem, problemDocument } from './problem.ts';
import type { ExternalAccount, Signer } from './signer.ts';
import type { AcmeWire } from './wire.ts';

/** When the server wants to be asked again (RFC 8555 7.4, 7.5.1). */
interface Paced {
  readonly retryAfterMs: number | undefined;
}

/** RFC 8555 7.1.3. */
const orderShape = z.object({
  status: z.string(),
  authorizations: z.array(z.url()).max(100),
  finalize: z.url(),
  certificate: z.url().optional(),
  error: problemDocument.optional().catch(undefined),
});
export type Order = z.output<typeof orderShape> & Paced;

/** RFC 8555 7.1.5, 8. A challenge of a type that we do not know may look otherwise. */
const challengeShape = z.object({
  type: z.string(),
  url: z.string(),
  status: z.string().default('pending'),
  token: z.string().optional(),
  error: problemDocument.optional().catch(undefined),
});
export type Challenge = z.output<typeof challengeShape>;

/** RFC 8555 7.1.4. */
const authorizationShape = z.object({
  status: z.string(),
  identifier: z.object({ type: z.string(), value: z.string() }),
  challenges: z.array(challengeShape).max(100),
});
export type Authorization = z.output<typeof authorizationShape> & Paced;

export interface AccountOptions {
  readonly contact: readonly string[];
  readonly externalAccount: ExternalAccount | undefined;
}

/** An account's requests (RFC 8555 7). The account is found by its key, or made, when it is first needed. */
export class AcmeClient {
  readonly #wire: AcmeWire;
  readonly #signer: Signer;
  readonly #options: AccountOptions;
  readonly #clock: Clock;
  #account: string | undefined;

  constructor(wire: AcmeWire, signer: Signer, options: AccountOptions, clock: Clock) {
    this.#wire = wire;
    this.#signer = signer;
    this.#options = options;
    this.#clock = clock;
  }

  /**
   * The account's URL: that of the account which the server has for the key, or of a new one (7.3), bound to an
   * external account where one is given (7.3.4). An EAB key may be good for one binding only, so an account that
   * is there is not bound again.
   */
  async account(signal: AbortSignal): Promise<string> {
    this.#account ??= await this.#openAccount(signal);
    return this.#account;
  }

  /** Gives the order's URL. */
  async newOrder(names: readonly string[], signal: AbortSignal): Promise<string> {
    const { newOrder } = await this.#wire.directory(signal);
    const identifiers = names.map((value) => ({ type: 'dns', value }));
    const answer = await this.#post(newOrder, { identifiers }, signal);
    this.#order(answer);
    return this.#location(answer, 'the new order');
  }

  async order(url: string, signal: AbortSignal): Promise<Order> {
    return this.#order(await this.#post(url, undefined, signal));
  }

  /** @param csr DER. */
  async finalize({ finalize }: Order, csr: Uint8Array, signal: AbortSignal): Promise<Order> {
    const payload = { csr: Buffer.from(csr).toString('base64url') };
    return this.#order(await this.#post(finalize, payload, signal));
  }

  /** Gives PEM. */
  async certificate({ certificate }: Order, signal: AbortSignal): Promise<string> {
    if (certificate === undefined) throw badAnswer('The valid order has no certificate.');
    return (await this.#post(certificate, undefined, signal)).body.toString('utf8');
  }

  async authorizations(order: Order, signal: AbortSignal): Promise<readonly Authorization[]> {
    const found: Authorization[] = [];
    for (const url of order.authorizations) {
      const answer = await this.#post(url, undefined, signal);
      const authorization = readJson(answer, authorizationShape, 'The ACME authorization');
      found.push({ ...authorization, ...this.#pace(answer) });
    }
    return found;
  }

  /** What is to be seen: the key authorization (RFC 8555 8.1, 8.3), or for dns-01 its digest (8.4). */
  async answerTo({ type, token = '' }: Challenge): Promise<string> {
    if (!/^[A-Za-z0-9_-]{1,1000}$/.test(token)) throw badAnswer('A challenge has no proper token.');
    const authorization = `${token}.${await this.#signer.thumbprint()}`;
    return type === 'dns-01' ? hash('sha256', authorization, 'base64url') : authorization;
  }

  /** Tells the server that the answer can be seen (7.5.1). */
  async begin({ url }: Challenge, signal: AbortSignal): Promise<void> {
    await this.#post(url, {}, signal);
  }

  /**
   * @param certificate DER.
   * @param reason RFC 5280 5.3.1.
   */
  async revoke(certificate: Uint8Array, reason: number, signal: AbortSignal): Promise<void> {
    const { revokeCert } = await this.#wire.directory(signal);
    if (revokeCert === undefined) {
      throw new ProvisioningError('ca-misconfigured', 'The ACME server takes no revocations.');
    }
    const text = Buffer.from(certificate).toString('base64url');
    await this.#post(revokeCert, { certificate: text, reason }, signal);
  }

  /** A server that lost its accounts, or was set up anew, is given ours again, once a request. */
  async #post(url: string, payload: object | undefined, signal: AbortSignal): Promise<HttpAnswer> {
    const kid = await this.account(signal);
    try {
      return await this.#wire.post(url, payload, { kid }, signal);
    } catch (error) {
      if (!isProblem(error, 'accountDoesNotExist')) throw error;
      if (this.#account === kid) this.#account = undefined;
      return await this.#wire.post(url, payload, { kid: await this.account(signal) }, signal);
    }
  }

  async #openAccount(signal: AbortSignal): Promise<string> {
    const existing = { onlyReturnExisting: true };
    try {
      return await this.#newAccount(existing, signal);
    } catch (error) {
      if (!isProblem(error, 'accountDoesNotExist')) throw error;
    }
    const { contact } = this.#options;
    const contacts = contact.length === 0 ? {} : { contact };
    try {
      return await this.#newAccount(
        { termsOfServiceAgreed: true, ...contacts, ...(await this.#binding(signal)) },
        signal,
      );
    } catch (problem) {
      if (!(problem instanceof AcmeProblem)) throw problem;
      // Another call may have made it in between, and used up the key for the binding.
      return await this.#newAccount(existing, signal).catch(() => {
        throw problem;
      });
    }
  }

  async #newAccount(payload: object, signal: AbortSignal): Promise<string> {
    const { newAccount } = await this.#wire.directory(signal);
    const signatory = { jwk: this.#signer.jwk };
    const answer = await this.#wire.post(newAccount, payload, signatory, signal);
    return this.#location(answer, 'the account');
  }

  async #binding(signal: AbortSignal): Promise<object> {
    const { externalAccount } = this.#options;
    if (externalAccount === undefined) return {};
    const { newAccount } = await this.#wire.directory(signal);
    return { externalAccountBinding: await this.#signer.bind(externalAccount, newAccount) };
  }

  #order(answer: HttpAnswer): Order {
    return { ...readJson(answer, orderShape, 'The ACME order'), ...this.#pace(answer) };
  }

  #pace({ headers }: HttpAnswer): Paced {
    return { retryAfterMs: retryAfterOf(headers, this.#clock.now()) };
  }

  #location({ headers: { location } }: HttpAnswer, what: string): string {
    if (typeof location !== 'string' || !URL.canParse(location)) {
      throw badAnswer(`The ACME server does not say where ${what} is (Location).`);
    }
    this.#wire.refuseElsewhere(location, what);
    return location;
  }
}

export function isProblem(error: unknown, ...types: readonly string[]): error is AcmeProblem {
  return error instanceof AcmeProblem && types.includes(error.type);
}

function badAnswer(message: string): ProvisioningError {
  return new ProvisioningError('ca-bad-answer', message);
}
