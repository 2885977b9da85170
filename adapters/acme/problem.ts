import { z } from 'zod';
import type { Clock } from '../../src/clock.ts';
import { ProvisioningError } from '../../src/errors.ts';
import { type HttpAnswer, retryAfterOf } from '../shared/http.ts';
import { quote } from '../shared/json-answer.ts';

const prefix = 'urn:ietf:params:acme:error:';

/** A problem document (RFC 7807) as far as ACME uses it. */
export const problemDocument = z.object({ type: z.string(), detail: z.string().optional() });

/** What an ACME server objected (RFC 8555 6.7). */
export class AcmeProblem extends Error {
  override readonly name = 'AcmeProblem';
  /** Without the prefix; empty where the answer was no problem document. */
  readonly type: string;
  readonly status: number;
  readonly retryAfterMs: number | undefined;

  constructor(type: string, status: number, message: string, retryAfterMs?: number) {
    super(message);
    this.type = type;
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

export function problemOf(answer: HttpAnswer, url: string, clock: Clock): AcmeProblem {
  const { type, detail } = readProblem(answer);
  const said = `${new URL(url).origin} answered ${answer.status} (${type || 'no problem type'}): ${detail}`;
  return new AcmeProblem(type, answer.status, said, retryAfterOf(answer.headers, clock.now()));
}

function readProblem({ body }: HttpAnswer): { type: string; detail: string } {
  try {
    const { type, detail = '' } = problemDocument.parse(JSON.parse(body.toString('utf8')));
    return { type: problemType(type), detail: quote(detail) };
  } catch {
    return { type: '', detail: 'no problem document' }; // A proxy's page, perhaps; the status says enough.
  }
}

/** A problem type without its prefix, printable. */
export function problemType(type: string): string {
  return quote(type.startsWith(prefix) ? type.slice(prefix.length) : type).slice(0, 60);
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

/** Who must act on a problem that is no refusal. */
export function asProvisioningError(problem: AcmeProblem): ProvisioningError {
  const { type, status, message, retryAfterMs } = problem;
  const pause = retryAfterMs === undefined ? {} : { retryAfterMs };
  const options = { cause: problem, ...pause };
  if (type === 'rateLimited' || status === 429) {
    return new ProvisioningError('ca-throttled', message, options);
  }
  if (passing.has(type) || status >= 500) {
    return new ProvisioningError('ca-unavailable', message, options);
  }
  // unauthorized, externalAccountRequired, accountDoesNotExist, userActionRequired, and whatever is wrong
  // with what we send: an administrator finds out.
  return new ProvisioningError('ca-misconfigured', message, options);
}
