import { type ErrorCode, ProvisioningError } from '../../src/errors.ts';
import { type HttpAnswer, retryAfterOf } from '../shared/http.ts';
import { serverWords } from '../shared/server-words.ts';

/** What the service decided about an order, or how far it is. */
export type Verdict =
  | { readonly kind: 'rejected'; readonly reason: string }
  | { readonly kind: 'in-progress'; readonly retryAfterMs: number | undefined }
  | { readonly kind: 'done' }
  | Failure;

export interface Failure {
  readonly kind: 'error';
  readonly error: ProvisioningError;
}

/** By the names of the API reference's error lists (IssueCertificate, GetCertificate, RevokeCertificate). */
const codes: Readonly<Record<string, ErrorCode>> = {
  ThrottlingException: 'ca-throttled',
  TooManyRequestsException: 'ca-throttled',
  RequestLimitExceeded: 'ca-throttled',
  ConcurrentModificationException: 'ca-unavailable',
  ServiceUnavailable: 'ca-unavailable',
  InternalFailure: 'ca-unavailable',
  RequestTimeout: 'ca-unavailable',
  // No credentials could be found at all.
  CredentialsProviderError: 'ca-misconfigured',
};

/** Reads what the SDK threw. The SDK's error itself is not kept: it may hold the request. */
export function verdictOf(thrown: unknown, call: string, now: number): Verdict {
  if (thrown instanceof ProvisioningError) return { kind: 'error', error: thrown };
  const name = thrown instanceof Error ? thrown.name : 'Error';
  const words = serverWords(thrown instanceof Error ? thrown.message : String(thrown));
  const reason = `${name}: ${words}`;
  const retryAfterMs = retryAfterOf(headersOf(thrown), now);
  if (name === 'RequestInProgressException') return { kind: 'in-progress', retryAfterMs };
  if (name === 'RequestAlreadyProcessedException') return { kind: 'done' };
  if (isDecision(name, words)) return { kind: 'rejected', reason };
  const status = statusOf(thrown);
  const code = codes[name] ?? codeOfStatus(status);
  const error = new ProvisioningError(
    code,
    `aws-private-ca ${call}: ${status === undefined ? '' : `${status} `}${reason}`,
    retryAfterMs === undefined ? {} : { retryAfterMs },
  );
  return { kind: 'error', error };
}

/**
 * Whether the service decided against this very request. InvalidArgsException may be about the template, the
 * signing algorithm or the validity too: those are the administrator's, and would refuse everybody.
 */
function isDecision(name: string, words: string): boolean {
  if (name === 'MalformedCSRException' || name === 'RequestFailedException') return true;
  return (
    name === 'InvalidArgsException' && /\bcsr\b|signing request|subject|public key/i.test(words)
  );
}

function codeOfStatus(status: number | undefined): ErrorCode {
  // Without a refusal's status the SDK could not read what came.
  if (status === undefined || status < 400) return 'ca-bad-answer';
  if (status === 429) return 'ca-throttled';
  return status >= 500 ? 'ca-unavailable' : 'ca-misconfigured';
}

function statusOf(thrown: unknown): number | undefined {
  const status = memberOf(memberOf(thrown, '$metadata'), 'httpStatusCode');
  return typeof status === 'number'
    ? status
    : numberOrUndefined(memberOf(memberOf(thrown, '$response'), 'statusCode'));
}

function numberOrUndefined(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

function headersOf(thrown: unknown): HttpAnswer['headers'] {
  const headers = memberOf(memberOf(thrown, '$response'), 'headers');
  const retryAfter = memberOf(headers, 'retry-after');
  return typeof retryAfter === 'string' ? { 'retry-after': retryAfter } : {};
}

function memberOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
}
