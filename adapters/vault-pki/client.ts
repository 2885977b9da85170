import { z } from 'zod';
import type { Clock } from '../../src/clock.ts';
import { ProvisioningError } from '../../src/errors.ts';
import { type AdapterHttp, type HttpAnswer, retryAfterOf } from '../shared/http.ts';
import { jsonBody } from '../shared/json-body.ts';
import { serverWords } from '../shared/server-words.ts';

export interface VaultCall {
  readonly method: 'GET' | 'POST';
  /** Behind /v1/, its segments encoded. */
  readonly path: string;
  readonly body?: object;
  /** For a POST that orders nothing: a login. */
  readonly safe?: boolean;
  readonly token?: string;
  /** Undefined: the root namespace. */
  readonly namespace?: string | undefined;
}

/** Vault's HTTP API (developer.hashicorp.com/vault/api-docs, openbao.org/api-docs): requests, answers and errors. */
export class VaultClient {
  readonly #root: string;
  readonly #http: AdapterHttp;
  readonly #clock: Clock;
  /** Never repeated in messages; grows with every login. */
  readonly #secrets = new Set<string>();

  constructor(url: string, http: AdapterHttp, clock: Clock) {
    this.#root = `${url.replace(/\/+$/, '')}/v1/`;
    this.#http = http;
    this.#clock = clock;
  }

  /** From now on this text is a secret. Old tokens are forgotten when there are many. */
  keepSecret(secret: string): void {
    this.#secrets.add(secret);
    const [oldest] = this.#secrets;
    if (this.#secrets.size > 50 && oldest !== undefined) this.#secrets.delete(oldest);
  }

  send(call: VaultCall, signal: AbortSignal): Promise<HttpAnswer> {
    const { method, path, body, token, namespace, safe = method === 'GET' } = call;
    const headers = {
      // An agent or proxy may demand it against forged requests of browsers.
      'x-vault-request': 'true',
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(token === undefined ? {} : { 'x-vault-token': token }),
      ...(namespace === undefined ? {} : { 'x-vault-namespace': namespace }),
    };
    const json = body === undefined ? {} : { body: JSON.stringify(body) };
    return this.#http.request({ method, url: this.#root + path, headers, safe, ...json }, signal);
  }

  /** @throws {ProvisioningError} `ca-bad-answer` when the answer is not JSON of this shape. */
  read<Schema extends z.ZodType>(answer: HttpAnswer, schema: Schema): z.output<Schema> {
    const parsed = schema.safeParse(jsonBody(answer.body));
    if (parsed.success) return parsed.data;
    const where = parsed.error.issues.map(({ path }) => path.join('.') || 'the whole').join(', ');
    throw new ProvisioningError(
      'ca-bad-answer',
      `Vault's answer (status ${answer.status}) is not as documented: ${where}.`,
    );
  }

  /** Vault's own words, `{"errors": […]}`, without our secrets. */
  wordsOf(answer: HttpAnswer): string {
    const parsed = errorBody.safeParse(jsonBody(answer.body));
    const said = parsed.success ? parsed.data.errors.join('; ') : answer.body;
    return serverWords(said, this.#secrets) || 'nothing';
  }

  /** The error that an answer other than 2xx stands for. */
  errorOf(doing: string, answer: HttpAnswer): ProvisioningError {
    const { status, headers } = answer;
    const message = `${doing}: Vault answered ${status}: ${this.wordsOf(answer)}`;
    const retryAfterMs = retryAfterOf(headers, this.#clock.now());
    const pause = retryAfterMs === undefined ? {} : { retryAfterMs };
    if (status === 429) return new ProvisioningError('ca-throttled', message, pause);
    // 412: a performance standby that has not caught up; 472 to 474: a node that cannot serve now.
    const passes = status >= 500 || [408, 412, 472, 473, 474].includes(status);
    if (passes) return new ProvisioningError('ca-unavailable', message, pause);
    return new ProvisioningError('ca-misconfigured', `${message}. ${hintOf(status)}`);
  }
}

const errorBody = z.object({ errors: z.array(z.string()) });

function hintOf(status: number): string {
  if (status >= 300 && status < 400) {
    return 'Redirects are not followed: name the active node or a load balancer in url.';
  }
  if (status === 403) return 'Check the credentials and the policy.';
  if (status === 404) return 'Check url, mount, namespace and role.';
  return 'Check the options against the role and the mount.';
}
