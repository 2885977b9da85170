import { z } from 'zod';
import type { ConnectContext } from '../../src/plug-in/certificate-authority.ts';
import type { JsonAnswer, JsonApi, JsonCall } from '../shared/json-api.ts';
import { type Fetched, Kept } from '../shared/kept.ts';
import { beforeOrder } from '../shared/status-problem.ts';
import { type AuthOptions, readCredentials } from './auth.ts';
import { pathOf } from './path.ts';

export type VaultCall = JsonCall & {
  /** Undefined: the root namespace. */
  readonly namespace?: string | undefined;
};

/** `auth` of a login's or a renewal's answer. */
const loginAnswer = z.object({
  auth: z.object({
    client_token: z.string().min(1),
    lease_duration: z.number().nonnegative(),
    renewable: z.boolean().default(false),
  }),
});

/** `data` of lookup-self. */
const lookupAnswer = z.object({
  data: z.object({ ttl: z.number().nonnegative(), renewable: z.boolean().default(false) }),
});

interface Token {
  readonly value: string;
  readonly renewable: boolean;
  /** Milliseconds since the epoch; infinite for a token without an end. */
  readonly expiresAt: number;
  readonly lifeMs: number;
}

/**
 * Calls with a token: logs in when there is none, renews it after two thirds of its life, logs in again when it
 * cannot be renewed.
 */
export class VaultSession implements Disposable {
  readonly #auth: AuthOptions;
  readonly #namespace: string | undefined;
  readonly #api: JsonApi;
  readonly #context: ConnectContext;
  readonly #token: Kept<Token>;

  constructor(
    auth: AuthOptions,
    namespace: string | undefined,
    api: JsonApi,
    context: ConnectContext,
  ) {
    this.#auth = auth;
    this.#namespace = auth.namespace ?? namespace;
    this.#api = api;
    this.#context = context;
    this.#token = new Kept(context.clock, (held, signal) => this.#fetch(held, signal));
  }

  /** Sends a call with the token. A 403 that comes from a dead token is answered by one new login. */
  send(call: VaultCall, signal: AbortSignal): Promise<JsonAnswer> {
    return this.#token.using(
      ({ value }) => this.#call(call, value, signal),
      async ({ status }, { value }) => status === 403 && (await this.#isDead(value, signal)),
      signal,
    );
  }

  /** @throws {ProvisioningError} when Vault does not know our token, nor gives us another. */
  async check(signal: AbortSignal): Promise<void> {
    const answer = await this.send({ ...lookUpSelf, namespace: this.#namespace }, signal);
    if (answer.status !== 200) throw this.#api.problem('Looking up our token', answer);
  }

  [Symbol.dispose](): void {
    this.#token[Symbol.dispose]();
  }

  #call(
    { namespace, ...call }: VaultCall,
    token: string | undefined,
    signal: AbortSignal,
  ): Promise<JsonAnswer> {
    const headers = { 'x-vault-token': token, 'x-vault-namespace': namespace };
    return this.#api.send({ ...call, headers }, signal);
  }

  async #isDead(token: string, signal: AbortSignal): Promise<boolean> {
    const { status } = await beforeOrder(this.#lookUp(token, signal));
    return status === 403;
  }

  #lookUp(token: string, signal: AbortSignal): Promise<JsonAnswer> {
    return this.#call({ ...lookUpSelf, namespace: this.#namespace }, token, signal);
  }

  async #fetch(held: Token | undefined, signal: AbortSignal): Promise<Fetched<Token>> {
    const alive = held !== undefined && this.#context.clock.now() < held.expiresAt;
    const renewed = alive && held.renewable ? await this.#renew(held, signal) : undefined;
    return renewed ?? this.#logIn(signal);
  }

  /** Undefined when a login is better: renewal refused, or near the end that no renewal moves. */
  async #renew(held: Token, signal: AbortSignal): Promise<Fetched<Token> | undefined> {
    const answer = await this.#post('auth/token/renew-self', {}, held.value, signal);
    if (answer.status !== 200) return undefined;
    const renewed = this.#tokenIn(answer);
    const isShortened = renewed.value.lifeMs < held.lifeMs / 2;
    return isShortened && this.#auth.method !== 'token' ? undefined : renewed;
  }

  async #logIn(signal: AbortSignal): Promise<Fetched<Token>> {
    const { method, mount = method } = this.#auth;
    const { token, body, secrets } = await readCredentials(this.#auth, this.#context);
    for (const secret of secrets) this.#api.keepSecret(secret);
    if (token !== undefined) return this.#adopt(token, signal);
    const answer = await this.#post(`auth/${pathOf(mount)}/login`, body, undefined, signal);
    if (answer.status !== 200) throw this.#api.problem(`Logging in by ${method}`, answer);
    return this.#tokenIn(answer);
  }

  async #adopt(token: string, signal: AbortSignal): Promise<Fetched<Token>> {
    const answer = await this.#lookUp(token, signal);
    if (answer.status !== 200) throw this.#api.problem('Looking up our token', answer);
    const { data } = this.#api.read(answer, lookupAnswer, 'Vault’s answer');
    return this.#tokenOf(token, data.ttl, data.renewable);
  }

  #post(path: string, body: object, token: string | undefined, signal: AbortSignal) {
    const namespace = this.#namespace;
    return this.#call({ method: 'POST', path, body, safe: true, namespace }, token, signal);
  }

  #tokenIn(answer: JsonAnswer): Fetched<Token> {
    const { auth } = this.#api.read(answer, loginAnswer, 'Vault’s answer');
    return this.#tokenOf(auth.client_token, auth.lease_duration, auth.renewable);
  }

  /** A life of 0 seconds stands for a token without an end (a root token). */
  #tokenOf(value: string, seconds: number, renewable: boolean): Fetched<Token> {
    this.#api.keepSecret(value);
    const lifeMs = seconds === 0 ? Number.POSITIVE_INFINITY : seconds * 1_000;
    const now = this.#context.clock.now();
    const token = { value, renewable, lifeMs, expiresAt: now + lifeMs };
    return { value: token, renewAt: now + (lifeMs * 2) / 3 };
  }
}

const lookUpSelf = { method: 'GET', path: 'auth/token/lookup-self' } as const;
