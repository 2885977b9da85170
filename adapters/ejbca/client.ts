import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import type { Clock } from '../../src/time/clock.ts';
import type { AdapterHttp, HttpAnswer } from '../shared/http.ts';
import { jsonBody } from '../shared/json-body.ts';
import { serverWords } from '../shared/server-words.ts';
import { beforeOrder, statusProblem } from '../shared/status-problem.ts';
import type { Credentials } from './credentials.ts';

export interface EjbcaCall {
  readonly method: 'GET' | 'POST' | 'PUT';
  /** Behind /v1/, with its query, encoded. */
  readonly path: string;
  readonly body?: object;
  /** For a POST that changes nothing: a search. */
  readonly safe?: boolean;
}

const errorBody = z.object({ error_message: z.string() });

/** EJBCA's REST API: requests, answers, and errors of the form `{error_code, error_message}`. */
export class EjbcaClient {
  readonly #root: string;
  readonly #http: AdapterHttp;
  readonly #credentials: Credentials;
  readonly #clock: Clock;

  /** @param url up to and including /ejbca/ejbca-rest-api. */
  constructor(url: string, http: AdapterHttp, credentials: Credentials, clock: Clock) {
    this.#root = `${url.replace(/\/+$/, '')}/v1/`;
    this.#http = http;
    this.#credentials = credentials;
    this.#clock = clock;
  }

  /** A 401 to a token is answered once with a new one: nothing was carried out. */
  async send(call: EjbcaCall, signal: AbortSignal): Promise<HttpAnswer> {
    for (let isRepeat = false; ; isRepeat = true) {
      const authorization = await beforeOrder(this.#credentials.header(signal));
      const answer = await this.#once(call, authorization, signal);
      if (answer.status !== 401 || !this.#credentials.isRenewable || isRepeat) return answer;
      this.#credentials.invalidate(authorization);
    }
  }

  /** @throws {ProvisioningError} `ca-bad-answer` when the answer is not JSON of this shape. */
  read<Schema extends z.ZodType>(answer: HttpAnswer, schema: Schema): z.output<Schema> {
    const parsed = schema.safeParse(jsonBody(answer.body));
    if (parsed.success) return parsed.data;
    const where = parsed.error.issues.map(({ path }) => path.join('.') || 'the whole').join(', ');
    throw new ProvisioningError(
      'ca-bad-answer',
      `EJBCA's answer (status ${answer.status}) is not as documented: ${where}.`,
    );
  }

  /** EJBCA's own words without our secrets; what anything else says when it is not EJBCA. */
  wordsOf(answer: HttpAnswer, confidences: readonly string[] = []): string {
    const said = errorIn(answer) ?? answer.body;
    return serverWords(said, [...this.#credentials.secrets, ...confidences]) || 'nothing';
  }

  /** Whether it is EJBCA that speaks. */
  isOwn(answer: HttpAnswer): boolean {
    return errorIn(answer) !== undefined;
  }

  /** The error that an answer other than the expected one stands for. */
  errorOf(
    doing: string,
    answer: HttpAnswer,
    confidences: readonly string[] = [],
  ): ProvisioningError {
    const { status } = answer;
    return statusProblem(answer, {
      what: `${doing}: EJBCA answered ${status}: ${this.wordsOf(answer, confidences)}`,
      isOwn: this.isOwn(answer),
      now: this.#clock.now(),
      hint: hintOf(status),
    });
  }

  #once(
    { method, path, body, safe = method === 'GET' }: EjbcaCall,
    authorization: string | undefined,
    signal: AbortSignal,
  ): Promise<HttpAnswer> {
    const headers = {
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(authorization === undefined ? {} : { authorization }),
    };
    const json = body === undefined ? {} : { body: JSON.stringify(body) };
    return this.#http.request({ method, url: this.#root + path, headers, safe, ...json }, signal);
  }
}

function errorIn({ body }: HttpAnswer): string | undefined {
  return errorBody.safeParse(jsonBody(body)).data?.error_message;
}

function hintOf(status: number): string {
  if (status === 401 || status === 403) {
    return 'Check the credentials and the rights of their role in EJBCA.';
  }
  if (status === 404) {
    return 'Check url and the names of CA and profiles, and that “REST Certificate Management” is enabled under System Configuration, Protocol Configuration.';
  }
  return 'Check the options against the profiles in EJBCA.';
}
