import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import type { ConnectContext } from '../../src/plug-in/certificate-authority.ts';
import { untilAborted } from '../../src/time/until-aborted.ts';
import type { HttpAnswer } from '../shared/http.ts';
import { beforeOrder } from '../shared/status-problem.ts';
import { type AuthOptions, readCredentials } from './auth.ts';
import type { VaultCall, VaultClient } from './client.ts';
import { pathOf } from './path.ts';

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
  readonly renewAt: number;
  readonly expiresAt: number;
  readonly lifeMs: number;
}

/**
 * Keeps a token: logs in when there is none, renews it after two thirds of its life, logs in again when it
 * cannot be renewed. However many calls wait for a token, one request is made.
 */
export class VaultSession implements Disposable {
  readonly #auth: AuthOptions;
  readonly #namespace: string | undefined;
  readonly #client: VaultClient;
  readonly #context: ConnectContext;
  readonly #closing = new AbortController();
  #token: Token | undefined;
  #refreshing: Promise<Token> | undefined;

  constructor(
    auth: AuthOptions,
    namespace: string | undefined,
    client: VaultClient,
    context: ConnectContext,
  ) {
    this.#auth = auth;
    this.#namespace = auth.namespace ?? namespace;
    this.#client = client;
    this.#context = context;
  }

  /** Sends a call with the token. A 403 that comes from a dead token is answered by one new login. */
  async send(call: VaultCall, signal: AbortSignal): Promise<HttpAnswer> {
    const { value } = await beforeOrder(this.#current(signal));
    const answer = await this.#client.send({ ...call, token: value }, signal);
    if (answer.status !== 403 || !(await beforeOrder(this.#isDead(value, signal)))) return answer;
    if (this.#token?.value === value) this.#token = undefined;
    const renewed = await beforeOrder(this.#current(signal));
    return this.#client.send({ ...call, token: renewed.value }, signal);
  }

  /** @throws {ProvisioningError} when Vault does not know our token, nor gives us another. */
  async check(signal: AbortSignal): Promise<void> {
    const path = 'auth/token/lookup-self';
    const answer = await this.send({ method: 'GET', path, namespace: this.#namespace }, signal);
    if (answer.status !== 200) throw this.#client.errorOf('Looking up our token', answer);
  }

  [Symbol.dispose](): void {
    this.#closing.abort(new ProvisioningError('ca-unavailable', 'The authority is closed.'));
  }

  async #isDead(value: string, signal: AbortSignal): Promise<boolean> {
    const { status } = await this.#lookUp(value, signal);
    return status === 403;
  }

  #lookUp(token: string, signal: AbortSignal): Promise<HttpAnswer> {
    const path = 'auth/token/lookup-self';
    return this.#client.send({ method: 'GET', path, token, namespace: this.#namespace }, signal);
  }

  /** The refresh belongs to all who wait for it, so none of their signals ends it. */
  #current(signal: AbortSignal): Promise<Token> {
    const held = this.#token;
    if (held !== undefined && this.#context.clock.now() < held.renewAt)
      return Promise.resolve(held);
    this.#refreshing ??= this.#refresh(held).finally(() => {
      this.#refreshing = undefined;
    });
    return untilAborted(this.#refreshing, signal);
  }

  async #refresh(held: Token | undefined): Promise<Token> {
    const alive = held !== undefined && this.#context.clock.now() < held.expiresAt;
    const renewed = alive && held.renewable ? await this.#renew(held) : undefined;
    this.#token = renewed ?? (await this.#logIn());
    return this.#token;
  }

  /** Undefined when a login is better: renewal refused, or near the end that no renewal moves. */
  async #renew(held: Token): Promise<Token | undefined> {
    const call = { path: 'auth/token/renew-self', namespace: this.#namespace, token: held.value };
    const answer = await this.#client.send(
      { method: 'POST', body: {}, safe: true, ...call },
      this.#closing.signal,
    );
    if (answer.status !== 200) return undefined;
    const { auth } = this.#client.read(answer, loginAnswer);
    const token = this.#tokenOf(auth.client_token, auth.lease_duration, auth.renewable);
    const isShortened = token.lifeMs < held.lifeMs / 2;
    return isShortened && this.#auth.method !== 'token' ? undefined : token;
  }

  async #logIn(): Promise<Token> {
    const { method, mount = method } = this.#auth;
    const { token, body, secrets } = await readCredentials(this.#auth, this.#context);
    for (const secret of secrets) this.#client.keepSecret(secret);
    if (token !== undefined) return this.#adopt(token);
    const path = `auth/${pathOf(mount)}/login`;
    const call = { method: 'POST', path, body, safe: true, namespace: this.#namespace } as const;
    const answer = await this.#client.send(call, this.#closing.signal);
    if (answer.status !== 200) throw this.#client.errorOf(`Logging in by ${method}`, answer);
    const { auth } = this.#client.read(answer, loginAnswer);
    return this.#tokenOf(auth.client_token, auth.lease_duration, auth.renewable);
  }

  async #adopt(token: string): Promise<Token> {
    const answer = await this.#lookUp(token, this.#closing.signal);
    if (answer.status !== 200) throw this.#client.errorOf('Looking up our token', answer);
    const { data } = this.#client.read(answer, lookupAnswer);
    return this.#tokenOf(token, data.ttl, data.renewable);
  }

  /** A life of 0 seconds stands for a token without an end (a root token). */
  #tokenOf(value: string, seconds: number, renewable: boolean): Token {
    this.#client.keepSecret(value);
    const lifeMs = seconds === 0 ? Number.POSITIVE_INFINITY : seconds * 1_000;
    const now = this.#context.clock.now();
    return { value, renewable, lifeMs, renewAt: now + (lifeMs * 2) / 3, expiresAt: now + lifeMs };
  }
}
