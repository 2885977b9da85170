import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import type { Clock } from '../../src/time/clock.ts';
import { type HttpAnswer, retryAfterOf } from '../shared/http.ts';
import { jsonBody } from '../shared/json-answer.ts';
import { serverWords } from '../shared/server-words.ts';
import { statusProblem } from '../shared/status-problem.ts';

const prefix = 'urn:ietf:params:acme:error:';

const subproblem = z.object({
  type: z.string(),
  detail: z.string().optional(),
  identifier: z.object({ value: z.string() }).optional(),
});

/** A problem document (RFC 7807) as far as ACME uses it (RFC 8555 6.7, 6.7.1). */
export const problemDocument = subproblem.extend({
  subproblems: z.array(subproblem).max(100).optional(),
});
export type ProblemDocument = z.output<typeof problemDocument>;

interface ProblemDetails extends ErrorOptions {
  readonly retryAfterMs?: number | undefined;
  readonly isServers?: boolean;
}

/** What an ACME server objected (RFC 8555 6.7). */
export class AcmeProblem extends Error {
  override readonly name = 'AcmeProblem';
  /** Without the prefix; empty where the answer was no problem document of ACME's. */
  readonly type: string;
  readonly status: number;
  readonly retryAfterMs: number | undefined;
  /** The ACME server itself answered, and not a proxy or a portal before it. */
  readonly isServers: boolean;

  constructor(type: string, status: number, message: string, more: ProblemDetails = {}) {
    const { retryAfterMs, isServers = true, cause } = more;
    super(message, { cause });
    this.type = type;
    this.status = status;
    this.retryAfterMs = retryAfterMs;
    this.isServers = isServers;
  }
}

/** What an answer of 300 and more means. */
export function problemOf(answer: HttpAnswer, url: string, clock: Clock): AcmeProblem {
  const problem = problemDocument.safeParse(jsonBody(answer.body)).data;
  const type = problemType(problem);
  if (problem === undefined || type === '') {
    // Some say nothing in the body of a 404, but each answer to a signed request has a nonce (6.5).
    const isServers = answer.headers['replay-nonce'] !== undefined;
    const words = serverWords(answer.body) || 'no text';
    const what = `${new URL(url).origin} answered ${answer.status}, without an ACME problem: ${words}`;
    const cause = statusProblem(answer, { what, isOwn: isServers, now: clock.now() });
    return new AcmeProblem(type, answer.status, cause.message, { isServers, cause });
  }
  const said = `${new URL(url).origin} answered ${answer.status} (${type}): ${wordsOf(problem)}`;
  const retryAfterMs = retryAfterOf(answer.headers, clock.now());
  return new AcmeProblem(type, answer.status, said, { retryAfterMs });
}

/** A type without its prefix, printable; empty when it is none of ACME's. */
export function problemType(problem: { readonly type: string } | undefined): string {
  const { type = '' } = problem ?? {};
  return type.startsWith(prefix) ? serverWords(type.slice(prefix.length), [], 60) : '';
}

/** The server's words, and those about single names. */
export function wordsOf({ detail = '', subproblems = [] }: ProblemDocument): string {
  const parts = subproblems.map(
    (each) => `${each.identifier?.value ?? 'a name'}: ${problemType(each)} ${each.detail ?? ''}`,
  );
  return serverWords([detail, ...parts].filter((text) => text !== '').join('; '));
}

/** Decided against this request for good. */
const refusals = new Set([
  'badCSR',
  'rejectedIdentifier',
  'unsupportedIdentifier',
  'caa',
  'badPublicKey',
]);

/** Passes by itself, or when somebody mends the network between the CA and the challenge. */
const passing = new Set([
  'serverInternal',
  'badNonce',
  'dns',
  'connection',
  'tls',
  'incorrectResponse',
]);

export function isRefusal(type: string): boolean {
  return refusals.has(type);
}

/** Who must act on a problem that is no refusal. Its words are the CA's own: it made nothing. */
export function asProvisioningError(problem: AcmeProblem): ProvisioningError {
  const { type, status, message, retryAfterMs, cause } = problem;
  if (cause instanceof ProvisioningError) return cause;
  const pause = retryAfterMs === undefined ? {} : { retryAfterMs };
  const options = { cause: problem, unanswered: false, ...pause };
  if (type === 'rateLimited' || status === 429) {
    return new ProvisioningError('ca-throttled', message, options);
  }
  if (passing.has(type) || status >= 500 || status === 408) {
    return new ProvisioningError('ca-unavailable', message, options);
  }
  // unauthorized, externalAccountRequired, accountDoesNotExist, userActionRequired, and whatever is wrong
  // with what we send: an administrator finds out.
  return new ProvisioningError('ca-misconfigured', message, options);
}
