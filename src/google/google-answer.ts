import { GoogleError, type GoogleErrorCode } from '../errors.ts';
import type { GoogleMethod } from '../events/events.ts';
import { oneLine } from '../words/one-line.ts';
import type { Answer, ExchangeError } from './exchange.ts';
import {
  describeStranger,
  type GoogleWords,
  memberOf,
  parsed,
  wordsOfGoogle,
} from './google-words.ts';

/** Nobody is made to wait longer than this by a Retry-After. */
const longestRetryAfterMs = 60 * 60_000;

/** The error that an answer outside of 2xx means. `now` is in milliseconds since the epoch. */
export function errorOfAnswer(method: GoogleMethod, answer: Answer, now: number): GoogleError {
  const { status } = answer;
  const words = wordsOfGoogle(answer);
  const retryAfterMs = retryAfterOf(answer.retryAfter, now);
  const code = words === undefined ? codeOfStranger(status) : codeOfGoogle(status, words);
  return new GoogleError(code, `${method}: ${describe(answer, words)}`, {
    status,
    unclear: changesSomething(method) && (words === undefined || !isSurelyUndone(status, words)),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

/** The error that a missing answer means. */
export function errorOfExchange(method: GoogleMethod, error: ExchangeError): GoogleError {
  const problem = oneLine(error.message, 500);
  return new GoogleError(
    error.tooLarge ? 'google-intercepted' : 'google-unavailable',
    `${method}: no answer from Google (${problem})`,
    { unclear: changesSomething(method) && error.sent, cause: error },
  );
}

/** Whether nobody can be served while answers are like this: the call's own process has no part in it. */
export function isTroubleForAll({ code }: GoogleError): boolean {
  switch (code) {
    case 'google-unavailable':
    case 'google-intercepted':
    case 'google-unauthenticated':
    case 'google-forbidden':
      return true;
    default:
      return false;
  }
}

/** get and operation only look: there is nothing they could have done without our knowing. */
function changesSomething(method: GoogleMethod): boolean {
  return method !== 'get' && method !== 'operation';
}

/** A 4xx from Google means that nothing was done, except for those that say that a call was given up half-way. */
function isSurelyUndone(status: number, { name }: GoogleWords): boolean {
  return status < 500 && status !== 408 && status !== 499 && name !== 'ABORTED';
}

function codeOfGoogle(status: number, { name, message, details }: GoogleWords): GoogleErrorCode {
  switch (status) {
    case 401:
      return 'google-unauthenticated';
    case 403:
      // Some of Google's APIs answer 403 when a quota is exceeded.
      return /rateLimitExceeded|RATE_LIMIT_EXCEEDED/i.test(`${message} ${JSON.stringify(details)}`)
        ? 'google-throttled'
        : 'google-forbidden';
    case 404:
    case 410:
      return 'google-not-found';
    case 407:
    case 408:
    case 413:
    case 499:
      return 'google-unavailable';
    case 429:
      return 'google-throttled';
    default:
      return status >= 500 || name === 'ABORTED' ? 'google-unavailable' : 'google-rejected';
  }
}

/** What somebody else answers is waited out; it decides nothing. */
function codeOfStranger(status: number): GoogleErrorCode {
  if (status === 429) return 'google-throttled';
  return status >= 500 || status === 408 ? 'google-unavailable' : 'google-intercepted';
}

/** The JSON object of a 2xx; an error is given back when there is none. */
export function jsonOf(method: GoogleMethod, answer: Answer): object {
  const json = parsed(answer.body);
  const isAnswer =
    typeof json === 'object' &&
    json !== null &&
    !Array.isArray(json) &&
    (method === 'operation' || memberOf(json, 'error') === undefined);
  if (isAnswer) return json;
  const { status } = answer;
  return new GoogleError(
    'google-intercepted',
    `${method}: ${describeStranger(answer)}, and what came with it is not Google’s answer to ${method}`,
    { status, unclear: changesSomething(method) },
  );
}

/** The same error after an earlier attempt of the same call whose answer was lost. */
export function asUnclear(error: GoogleError): GoogleError {
  if (error.unclear) return error;
  return new GoogleError(error.code, `${error.message} (after an attempt whose answer was lost)`, {
    unclear: true,
    cause: error,
    ...(error.status === undefined ? {} : { status: error.status }),
    ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
  });
}

/** For operators. */
function describe(answer: Answer, words: GoogleWords | undefined): string {
  if (words === undefined) return describeStranger(answer);
  const { name, message } = words;
  const said = message === undefined ? '' : `: ${oneLine(message, 400)}`;
  const hint = answer.status === 403 ? forbiddenHint(words) : '';
  return `Google answered ${answer.status}${name === undefined ? '' : ` ${name}`}${said}${hint}`;
}

/** Google's reasons for a 403 (google.rpc.ErrorInfo) that have a remedy of their own. */
function forbiddenHint({ message, details }: GoogleWords): string {
  const reasons = `${message} ${JSON.stringify(details)}`;
  if (/rateLimitExceeded|RATE_LIMIT_EXCEEDED/i.test(reasons)) return '';
  if (/SERVICE_DISABLED|accessNotConfigured/.test(reasons)) {
    return '. Enable the Chrome Management API in the project of the service account (gcloud services enable chromemanagement.googleapis.com)';
  }
  if (
    /SCOPE_INSUFFICIENT|insufficientPermissions|insufficient authentication scopes/.test(reasons)
  ) {
    return '. The credentials lack the scope https://www.googleapis.com/auth/chrome.management.certprov.provisioningprocess: give it to the machine or the delegation they come from';
  }
  if (/BILLING_DISABLED|USER_PROJECT_DENIED/.test(reasons)) {
    return '. Give the service account the role roles/serviceusage.serviceUsageConsumer in its project, and see that billing is enabled there';
  }
  return '. In the Admin console allow the service account to manage certificate provisioning processes (Devices → Networks → Certificates → certificate provisioning adapters)';
}

/** Seconds or an HTTP date (RFC 9110 10.2.3), as milliseconds from now, at most an hour. */
function retryAfterOf(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  const text = header.trim();
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), longestRetryAfterMs);
}
