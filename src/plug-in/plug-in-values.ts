import { types } from 'node:util';
import { isRecord } from '../words/record.ts';
import { keyUsageNames } from '../x509/usages.ts';
import { droppableParts } from './certificate-authority.ts';

/*
 * Checks what a plug-in returns before anybody relies on it: type checks do not reach JavaScript from outside. Each
 * function says what is wrong, without quoting any text of the plug-in, because it may be secret; undefined when
 * nothing is wrong.
 */

/** A certificate and its chain together, a ticket, or a state. In bytes, or characters of JSON. */
const largest = 1024 * 1024;
const longestChain = 100;
/** What counts milliseconds since the epoch is beyond this; what counts seconds is not (5138). */
const leastEpochMs = 100_000_000_000;

const keyTypes: readonly unknown[] = ['rsa', 'ec'];
const parts: readonly unknown[] = droppableParts;
const keyUsages: readonly unknown[] = keyUsageNames;

/** For a connected CA: only what nothing would work without. `conformance` looks for the rest. */
export function authorityProblem(value: unknown): string | undefined {
  if (!isRecord(value)) return `${shown(value)}, expected an object with features, check, issue …`;
  for (const name of ['check', 'issue']) {
    if (!isFunction(value[name])) return wrongMember(name, value[name], 'a function');
  }
  for (const name of ['collect', 'prepare', 'revoke']) {
    const member = value[name];
    if (member !== undefined && !isFunction(member)) return wrongMember(name, member, 'a function');
  }
  const dispose: unknown = Reflect.get(value, Symbol.asyncDispose);
  if (!isFunction(dispose)) return wrongMember('[Symbol.asyncDispose]', dispose, 'a function');
  return featuresProblem(value['features']);
}

function featuresProblem(features: unknown): string | undefined {
  if (!isRecord(features)) return wrongMember('features', features, 'an object');
  for (const name of ['idempotent', 'findsEarlier', 'pending', 'revoke']) {
    const flag = features[name];
    if (flag !== undefined && typeof flag !== 'boolean') {
      return wrongMember(`features.${name}`, flag, 'true or false');
    }
  }
  const { keyTypes: types, mayDrop } = features;
  if (!isListOf(types, keyTypes) || types.length === 0) {
    return wrongMember('features.keyTypes', types, "an array of 'rsa' and 'ec'");
  }
  if (isListOf(mayDrop, parts)) return undefined;
  return wrongMember(
    'features.mayDrop',
    mayDrop,
    `an array of ${parts.join(', ')}, or an empty one`,
  );
}

/** For the result of collect(). */
export function collectedProblem(value: unknown): string | undefined {
  if (!isRecord(value) || value['kind'] !== 'lost') return issuanceProblem(value);
  if (typeof value['reason'] === 'string') return undefined;
  return wrongMember('reason', value['reason'], 'how that was found out as a text');
}

/** For the result of issue(), if there is no collect() to ask about a pending order. */
export function decidedProblem(value: unknown): string | undefined {
  if (!isRecord(value) || value['kind'] !== 'pending') return issuanceProblem(value);
  return "kind 'pending' without a collect() that could ask after the order";
}

/** For the result of issue(). */
export function issuanceProblem(value: unknown): string | undefined {
  if (!isRecord(value)) return `${shown(value)}, expected ${issuances}`;
  switch (value['kind']) {
    case 'issued':
      return issuedProblem(value);
    case 'pending':
      return pendingProblem(value);
    case 'rejected':
      if (typeof value['reason'] === 'string') return undefined;
      return wrongMember('reason', value['reason'], 'the CA’s words as a text');
    default:
      return `${shown(value)}, expected ${issuances}`;
  }
}

const issuances = "an object whose kind is 'issued', 'pending' or 'rejected'";

function issuedProblem({ certificate, chain }: Record<string, unknown>): string | undefined {
  const wish = 'DER as a Uint8Array (of PEM readCertificates() makes it)';
  if (!isBytes(certificate)) return wrongMember('certificate', certificate, wish);
  if (!Array.isArray(chain)) return wrongMember('chain', chain, 'an array, which may be empty');
  const wrong = chain.findIndex((der) => !isBytes(der));
  if (wrong >= 0) return wrongMember(`chain[${wrong}]`, chain[wrong], wish);
  const bytes = chain.reduce((sum: number, der) => sum + der.length, certificate.length);
  if (chain.length <= longestChain && bytes <= largest) return undefined;
  return `a chain of ${chain.length} certificates, ${bytes} bytes, expected at most ${longestChain} and 1 MiB`;
}

function pendingProblem({ ticket, pollAfterMs }: Record<string, unknown>): string | undefined {
  const problem = opaqueProblem('ticket', ticket);
  if (problem !== undefined) return problem;
  if (typeof pollAfterMs === 'number' && pollAfterMs >= 0 && pollAfterMs < Infinity) return;
  return wrongMember('pollAfterMs', pollAfterMs, 'milliseconds as a number');
}

/** For the result of prepare(). */
export function additionsProblem(value: unknown): string | undefined {
  if (!isRecord(value)) return `${shown(value)}, expected an object, which may be empty`;
  const { attributes = [], extensions = [], keyUsages: usages, state, expiresAt } = value;
  if (!Array.isArray(attributes)) return wrongMember('attributes', attributes, 'an array');
  for (const [at, one] of attributes.entries()) {
    const { type, values }: Record<string, unknown> = isRecord(one) ? one : {};
    const right = isOid(type) && Array.isArray(values) && values.every(isBytes);
    const wish = 'type, an object identifier in dots, and values, an array of DER (Uint8Array)';
    if (!right) return wrongMember(`attributes[${at}]`, one, wish);
  }
  if (!Array.isArray(extensions)) return wrongMember('extensions', extensions, 'an array');
  for (const [at, one] of extensions.entries()) {
    const extension: Record<string, unknown> = isRecord(one) ? one : {};
    const { type, critical, value: content } = extension;
    const right = isOid(type) && typeof critical === 'boolean' && isBytes(content);
    const wish = 'type, an object identifier in dots, critical, and value, DER (Uint8Array)';
    if (!right) return wrongMember(`extensions[${at}]`, one, wish);
  }
  if (usages !== undefined && !isListOf(usages, keyUsages)) {
    return wrongMember('keyUsages', usages, `an array of ${keyUsages.join(', ')}`);
  }
  if (state !== undefined && opaqueProblem('state', state)) return opaqueProblem('state', state);
  if (expiresAt === undefined || (typeof expiresAt === 'number' && expiresAt > leastEpochMs))
    return;
  return wrongMember('expiresAt', expiresAt, 'milliseconds since the epoch, like Date.now()');
}

/** The journal keeps it as JSON: anything that JSON lacks would come back as something else. */
function opaqueProblem(name: string, value: unknown): string | undefined {
  let lost: string | undefined;
  const look = (_key: string, inner: unknown) => {
    const isLost = types.isMap(inner) || types.isSet(inner) || types.isUint8Array(inner);
    const isNoNumber = typeof inner === 'number' && !Number.isFinite(inner);
    if (isLost || isNoNumber || types.isPromise(inner)) lost = shown(inner);
    return inner;
  };
  try {
    const text: string | undefined = JSON.stringify(value, look);
    if (text === undefined) return wrongMember(name, value, 'plain JSON');
    if (lost !== undefined) return `a ${name} with ${lost} in it, expected plain JSON`;
    if (text.length <= largest) return undefined;
    return `a ${name} of ${text.length} characters, expected at most 1 MiB`;
  } catch {
    // A bigint, or an object that holds itself: the error's own text may quote what it is about.
    return `a ${name} that cannot be written as JSON, expected plain JSON`;
  }
}

function wrongMember(name: string, value: unknown, expected: string): string {
  const came = value === undefined ? `nothing as ${name}` : `${shown(value)} as ${name}`;
  return `${came}, expected ${expected}`;
}

/** What kind of thing it is, without its content. */
export function shown(value: unknown): string {
  if (typeof value === 'string') {
    const pem = value.includes('-----BEGIN') ? ' (PEM)' : '';
    return `a text of ${value.length} characters${pem}`;
  }
  if (typeof value === 'number') return `the number ${value}`;
  if (typeof value === 'function') return 'a function';
  if (types.isUint8Array(value)) return `${value.length} bytes`;
  if (types.isPromise(value)) return 'a promise';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (!isRecord(value)) return String(typeof value === 'symbol' ? 'a symbol' : value);
  const { kind } = value;
  const isName = typeof kind === 'string' && /^[\w-]{1,24}$/.test(kind);
  const keys = Object.keys(value).slice(0, 8);
  const named = keys.map((key) => (key === 'kind' && isName ? `kind '${kind}'` : key.slice(0, 32)));
  return named.length === 0 ? 'an empty object' : `an object with ${named.join(', ')}`;
}

function isFunction(value: unknown): boolean {
  return typeof value === 'function';
}

function isBytes(value: unknown): value is Uint8Array {
  return types.isUint8Array(value) && value.length > 0;
}

function isOid(value: unknown): boolean {
  return typeof value === 'string' && /^[0-2](\.\d+)+$/.test(value);
}

function isListOf(value: unknown, known: readonly unknown[]): value is readonly unknown[] {
  return Array.isArray(value) && value.every((one) => known.includes(one));
}
