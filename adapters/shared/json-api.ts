import type { z } from 'zod';
import type { ProvisioningError } from '../../src/errors.ts';
import type { ConnectContext } from '../../src/plug-in/certificate-authority.ts';
import type { Clock } from '../../src/time/clock.ts';
import { type ConnectionSettings, connectHttp } from './connection.ts';
import type { AdapterHttp, HttpAnswer } from './http.ts';
import { jsonBody, readAs } from './json-answer.ts';
import { serverWords } from './server-words.ts';
import { statusProblem } from './status-problem.ts';

/** How one kind of CA speaks: what its errors look like, and what its statuses mean where HTTP means something else. */
export interface Dialect {
  /** Begins a message about a call's answer: `Signing: Vault answered 403`. */
  said(call: string, status: number): string;
  /** The words of an error in the CA's own form; undefined for whatever somebody else may have said. */
  ownWords(json: unknown, status: number): string | undefined;
  /** The status by which HTTP says what the CA means. */
  statusOf?(answer: JsonAnswer): number;
  /** What mends it, where an administrator has to act. */
  hint?(answer: JsonAnswer): string;
}

export interface JsonApiOptions {
  readonly http: AdapterHttp;
  readonly clock: Clock;
  /** Stands before the path of each call. */
  readonly root: string;
  readonly dialect: Dialect;
  /** Sent with every call. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Never repeated in messages. */
  readonly secrets?: readonly string[];
}

/** The API behind the connection that the options name. */
export async function openApi(
  given: ConnectionSettings,
  context: ConnectContext,
  how: Omit<JsonApiOptions, 'http' | 'clock'>,
): Promise<JsonApi> {
  return new JsonApi({ ...how, http: await connectHttp(given, context), clock: context.clock });
}

export interface JsonCall {
  readonly method: 'GET' | 'POST' | 'PUT';
  /** Follows the root, with its query, encoded. */
  readonly path: string;
  /** An object, or JSON that was written already. */
  readonly body?: object | string | undefined;
  /** In lower case; what is undefined is left out. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** For a POST that orders nothing: a login, a search. */
  readonly safe?: boolean;
}

/** An answer; without these where it was asked for in another way. */
export interface JsonAnswer extends HttpAnswer {
  /** Undefined when the body is none. */
  readonly json?: unknown;
  /** The CA's own words of an error; undefined when it is no error, or not the CA that speaks. */
  readonly own?: string | undefined;
}

/** Old tokens are forgotten when there are many. */
const mostSecrets = 50;

/** An HTTP API that speaks JSON both ways. */
export class JsonApi implements AsyncDisposable {
  readonly #options: JsonApiOptions;
  readonly #secrets: Set<string>;

  constructor(options: JsonApiOptions) {
    this.#options = options;
    this.#secrets = new Set(options.secrets);
  }

  /** For what is asked in another way. */
  get http(): AdapterHttp {
    return this.#options.http;
  }

  /** From now on this text is a secret. */
  keepSecret(secret: string): void {
    // What is used again is not old.
    this.#secrets.delete(secret);
    this.#secrets.add(secret);
    const [oldest] = this.#secrets;
    if (this.#secrets.size > mostSecrets && oldest !== undefined) this.#secrets.delete(oldest);
  }

  /** Resolves whatever the status; rejects as {@link AdapterHttp.request} does. */
  async send(call: JsonCall, signal: AbortSignal): Promise<JsonAnswer> {
    const { method, path, body, safe = method === 'GET' } = call;
    const { http, root, dialect, headers: everyCalls } = this.#options;
    const headers: Record<string, string> = { accept: 'application/json', ...everyCalls };
    if (body !== undefined) headers['content-type'] = 'application/json';
    for (const [name, value] of Object.entries(call.headers ?? {})) {
      if (value !== undefined) headers[name] = value;
    }
    const text = typeof body === 'object' ? JSON.stringify(body) : body;
    const json = text === undefined ? {} : { body: text };
    const answer = await http.request({ method, url: root + path, headers, safe, ...json }, signal);
    const parsed = jsonBody(answer.body);
    const isError = answer.status < 200 || answer.status > 299;
    const own = isError ? dialect.ownWords(parsed, answer.status) : undefined;
    return { ...answer, json: parsed, own };
  }

  /** @throws {ProvisioningError} `ca-bad-answer` when the answer is not JSON of this shape. */
  read<Schema extends z.ZodType>(answer: JsonAnswer, schema: Schema, what: string) {
    return readAs(answer.json, schema, `${what} (status ${answer.status}) is not as documented`);
  }

  /** What was said, without our secrets and those of this call. */
  words(said: string | Buffer, confidences: readonly string[] = []): string {
    return serverWords(said, [...this.#secrets, ...confidences]) || 'nothing';
  }

  /** A sentence about an answer, without a full stop: who said what to which call. */
  says(call: string, answer: JsonAnswer, confidences: readonly string[] = []): string {
    const said = this.#options.dialect.said(call, answer.status);
    return `${said}: ${this.words(answer.own ?? answer.body, confidences)}`;
  }

  /** The error that an answer stands for which is neither success nor a decision. */
  problem(
    call: string,
    answer: JsonAnswer,
    confidences: readonly string[] = [],
  ): ProvisioningError {
    const { dialect, clock } = this.#options;
    return statusProblem(
      { ...answer, status: dialect.statusOf?.(answer) ?? answer.status },
      {
        what: this.says(call, answer, confidences),
        isOwn: answer.own !== undefined,
        now: clock.now(),
        hint: dialect.hint?.(answer),
      },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#options.http[Symbol.asyncDispose]();
  }
}
