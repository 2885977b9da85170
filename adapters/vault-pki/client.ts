import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import type { Clock } from '../../src/time/clock.ts';
import type { AdapterHttp, HttpAnswer } from '../shared/http.ts';
import { jsonBody } from '../shared/json-body.ts';
import { serverWords } from '../shared/server-words.ts';
import { statusProblem } from '../shared/status-problem.ts';

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

  /** Vault's own words, `{"errors": […]}`, without our secrets; what anything else says when it is not Vault. */
  wordsOf(answer: HttpAnswer): string {
    return serverWords(errorsIn(answer)?.join('; ') ?? answer.body, this.#secrets) || 'nothing';
  }

  /** Whether it is Vault that speaks. */
  isOwn(answer: HttpAnswer): boolean {
    return errorsIn(answer) !== undefined;
  }

  /** The error that an answer other than 2xx stands for. */
  errorOf(doing: string, answer: HttpAnswer): ProvisioningError {
    const { status } = answer;
    const context = {
      what: `${doing}: Vault answered ${status}: ${this.wordsOf(answer)}`,
      isOwn: this.isOwn(answer),
      now: this.#clock.now(),
      hint: hintOf(status),
    };
    // 412: a performance standby that has not caught up; 472 to 474: a node that cannot serve now.
    const passes = [412, 472, 473, 474].includes(status);
    return statusProblem(passes ? { ...answer, status: 503 } : answer, context);
  }
}

const errorBody = z.object({ errors: z.array(z.string()) });

function errorsIn({ body }: HttpAnswer): string[] | undefined {
  return errorBody.safeParse(jsonBody(body)).data?.errors;
}

function hintOf(status: number): string {
  if (status === 403) return 'Check the credentials and the policy.';
  if (status === 404) return 'Check url, mount, namespace and role.';
  return 'Check the options against the role and the mount.';
}
