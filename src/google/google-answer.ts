import { GoogleError, type GoogleErrorCode } from '../errors.ts';
import type { GoogleMethod } from '../telemetry/events.ts';
import type { Answer, ExchangeError } from './exchange.ts';
import { oneLine } from './one-line.ts';

/** Nobody is made to wait longer than this by a Retry-After. */
const longestRetryAfterMs = 60 * 60_000;

/** The error that an answer outside of 2xx means. `now` is in milliseconds since the epoch. */
export function errorOfAnswer(method: GoogleMethod, answer: Answer, now: number): GoogleError {
  const { status } = answer;
  const said = googleWords(answer.body);
  const retryAfterMs = retryAfterOf(answer.retryAfter, now);
  return new GoogleError(
    codeOfStatus(status, answer.body),
    `${method}: Google answered ${status}${said}`,
    {
      status,
      // A 4xx means that nothing was done; 408 is a matter of time like 5xx, and what is neither came from
      // somebody on the way.
      unclear: changesSomething(method) && !(status >= 400 && status < 500 && status !== 408),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    },
  );
}

/** The error that a missing answer means. */
export function errorOfExchange(method: GoogleMethod, error: ExchangeError): GoogleError {
  const problem = oneLine(error.message, 500);
  return new GoogleError(
    error.tooLarge ? 'google-bad-answer' : 'google-unavailable',
    `${method}: no answer from Google (${problem})`,
    { unclear: changesSomething(method) && error.sent, cause: error },
  );
}

/** get and operation only look: there is nothing they could have done without our knowing. */
function changesSomething(method: GoogleMethod): boolean {
  return method !== 'get' && method !== 'operation';
}

function codeOfStatus(status: number, body: string): GoogleErrorCode {
  switch (status) {
    case 401:
      return 'google-unauthenticated';
    case 403:
      // Some of Google's APIs refuse with 403 what is over a quota.
      return /rateLimitExceeded|RATE_LIMIT_EXCEEDED/i.test(body)
        ? 'google-throttled'
        : 'google-forbidden';
    case 404:
    case 410:
      return 'google-not-found';
    case 408:
      return 'google-unavailable';
    case 429:
      return 'google-throttled';
    default:
      if (status >= 500) return 'google-unavailable';
      return status >= 400 ? 'google-rejected' : 'google-bad-answer';
  }
}

/** The JSON object of a 2xx; an error is given back when there is none. */
export function jsonOf(method: GoogleMethod, answer: Answer): object {
  try {
    const json: unknown = JSON.parse(answer.body);
    if (typeof json === 'object' && json !== null) return json;
  } catch {
    // The parser would quote what a proxy sent; the error below says enough.
  }
  const { status } = answer;
  return new GoogleError(
    'google-bad-answer',
    `${method}: Google answered ${status} with something that is not a JSON object`,
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

/** What stands in Google's `{ error: { status, message } }`, for operators. */
function googleWords(body: string): string {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    // A proxy's page is not worth quoting.
    return ', without an explanation of Google’s';
  }
  const error = memberOf(json, 'error');
  const status = memberOf(error, 'status');
  const message = memberOf(error, 'message');
  const words = `${typeof status === 'string' ? ` ${status}` : ''}${
    typeof message === 'string' ? `: ${message}` : ''
  }`;
  return words === '' ? '' : ` ${oneLine(words, 400)}`;
}

function memberOf(json: unknown, key: string): unknown {
  return typeof json === 'object' && json !== null && Object.hasOwn(json, key)
    ? Reflect.get(json, key)
    : undefined;
}

/** Seconds or an HTTP date (RFC 9110 10.2.3), as milliseconds from now, at most an hour. */
function retryAfterOf(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  const text = header.trim();
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), longestRetryAfterMs);
}
