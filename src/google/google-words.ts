import { STATUS_CODES } from 'node:http';
import { oneLine } from '../words/one-line.ts';
import type { Answer } from './exchange.ts';

/*
 * Who said it? Between us and Google stand proxies, captive portals and load balancers, and each of them answers with
 * statuses that Google uses too. So what ends a process, or a person's day, is believed only of Google's own error
 * JSON (https://google.aip.dev/193) whose code is the status it came with.
 */

/** What Google itself said beside its status. */
export interface GoogleWords {
  /** The canonical name (google.rpc.Code). */
  readonly name: string | undefined;
  readonly message: string | undefined;
  /** `error.details`, as it came. */
  readonly details: unknown;
}

/** https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto: each name and its HTTP status. */
const statusOfName: Readonly<Record<string, number>> = {
  CANCELLED: 499,
  UNKNOWN: 500,
  INVALID_ARGUMENT: 400,
  DEADLINE_EXCEEDED: 504,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  PERMISSION_DENIED: 403,
  UNAUTHENTICATED: 401,
  RESOURCE_EXHAUSTED: 429,
  FAILED_PRECONDITION: 400,
  ABORTED: 409,
  OUT_OF_RANGE: 400,
  UNIMPLEMENTED: 501,
  INTERNAL: 500,
  UNAVAILABLE: 503,
  DATA_LOSS: 500,
};

/**
 * Google's words, if the answer is Google's: `{ error: { code, message, status } }` that fits its own status. Others
 * write `{ error: { code, message } }`, too: without the name it needs the reason that Google's older form has
 * (`errors: [{ domain, reason }]`).
 */
export function wordsOfGoogle({ status, body }: Answer): GoogleWords | undefined {
  if (status < 400) return undefined;
  const error = memberOf(parsed(body), 'error');
  const name = memberOf(error, 'status') ?? undefined;
  const message = memberOf(error, 'message') ?? undefined;
  if (memberOf(error, 'code') !== status) return undefined;
  if (message !== undefined && typeof message !== 'string') return undefined;
  const details = memberOf(error, 'details');
  if (name === undefined) {
    return hasReason(error) ? { name, message, details } : undefined;
  }
  if (typeof name !== 'string' || !Object.hasOwn(statusOfName, name)) return undefined;
  return statusOfName[name] === status ? { name, message, details } : undefined;
}

function hasReason(error: unknown): boolean {
  const errors = memberOf(error, 'errors');
  return Array.isArray(errors) && typeof memberOf(errors[0], 'reason') === 'string';
}

/** For operators: what answered in Google's place, as far as it says. Nothing of its page is shown. */
export function describeStranger({ status, server, via }: Answer): string {
  const who = [
    ...(server === undefined ? [] : [`server: ${oneLine(server, 80)}`]),
    ...(via === undefined ? [] : [`via: ${oneLine(via, 80)}`]),
  ];
  const answer = `${status} ${STATUS_CODES[status] ?? ''}`.trim();
  return `something between us and Google answers: ${[answer, ...who].join(', ')}`;
}

/** JSON, or undefined. */
export function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    // A proxy's page, or half an answer: all that counts is what it is not.
    return undefined;
  }
}

/** An object's own member; undefined for anything else. */
export function memberOf(json: unknown, key: string): unknown {
  return typeof json === 'object' && json !== null && Object.hasOwn(json, key)
    ? Reflect.get(json, key)
    : undefined;
}
