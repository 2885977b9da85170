import { ProvisioningError } from '../../src/errors.ts';
import type { Clock } from '../../src/time/clock.ts';
import { serverWords } from '../shared/server-words.ts';
import type { AcmeClient, Authorization, Challenge, Order } from './client.ts';
import { isProblem } from './client.ts';
import { AcmeProblem, isRefusal, type ProblemDocument, problemType, wordsOf } from './problem.ts';
import type { Solver } from './solver.ts';

/** Where an order got to. */
export type OrderState =
  | { readonly kind: 'valid' /** PEM. */; readonly chain: string }
  | {
      readonly kind: 'waiting';
      /** How long the server wants not to be asked; zero where it does not say. */
      readonly retryAfterMs: number;
      /** Why it does not get on, where that is not just the CA at its work. */
      readonly said?: string;
    }
  /** It never becomes a certificate, for this reason. */
  | { readonly kind: 'invalid'; readonly problem: AcmeProblem }
  /** The server itself does not know the order, or not as one of this account's. */
  | { readonly kind: 'unknown'; readonly problem: AcmeProblem };

export interface WalkLimits {
  readonly clock: Clock;
  readonly solver: Solver | undefined;
  /** How long to wait for the server; then the order is left as it is. */
  readonly waitMs: number;
}

const firstPauseMs = 100;
const longestPauseMs = 2_000;

/**
 * Takes an order as far as it will go (RFC 8555 7.1.6): authorizations are shown, a ready order is finalized
 * once, and the certificate of a valid one is fetched. Whatever was done before is not done again, and between
 * two looks there is a pause, the server's where it asks for one.
 */
export async function walkOrder(
  client: AcmeClient,
  url: string,
  csr: Uint8Array,
  limits: WalkLimits,
  signal: AbortSignal,
): Promise<OrderState> {
  const until = limits.clock.now() + limits.waitMs;
  await using shown = new AsyncDisposableStack();
  const presented = new Set<string>();
  let isFinalized = false;
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(longestPauseMs, pauseMs * 2)) {
    const found = await orderAt(client, url, signal);
    if (found instanceof AcmeProblem) return { kind: 'unknown', problem: found };
    let order = found;
    if (order.status === 'ready' && !isFinalized) {
      isFinalized = true;
      order = await finalized(client, order, csr, signal);
    }
    let { retryAfterMs = 0 } = order;
    let said: string | undefined;
    switch (order.status) {
      case 'valid':
        return { kind: 'valid', chain: await client.certificate(order, signal) };
      case 'invalid':
        return { kind: 'invalid', problem: await problemOfOrder(client, order, signal) };
      case 'pending': {
        const names = await showNames(client, order, limits.solver, { shown, presented }, signal);
        if (names instanceof AcmeProblem) return { kind: 'invalid', problem: names };
        said = names.said;
        retryAfterMs = Math.max(retryAfterMs, names.retryAfterMs);
        break;
      }
      case 'ready':
        said = 'it was finalized, and is ready to be finalized again';
        break;
      default:
        break; // Processing: the CA is at its work.
    }
    const waitMs = Math.max(pauseMs, retryAfterMs);
    if (limits.clock.now() + waitMs > until) {
      return { kind: 'waiting', retryAfterMs, ...(said === undefined ? {} : { said }) };
    }
    await limits.clock.sleep(waitMs, signal);
  }
}

/** Only the server's own word about the order itself counts: not a proxy's page, and not a certificate that is missing. */
async function orderAt(
  client: AcmeClient,
  url: string,
  signal: AbortSignal,
): Promise<Order | AcmeProblem> {
  try {
    return await client.order(url, signal);
  } catch (error) {
    if (!(error instanceof AcmeProblem) || !error.isServers) throw error;
    if (error.status === 404 || error.type === 'unauthorized') return error;
    throw error;
  }
}

async function finalized(
  client: AcmeClient,
  order: Order,
  csr: Uint8Array,
  signal: AbortSignal,
): Promise<Order> {
  try {
    return await client.finalize(order, csr, signal);
  } catch (error) {
    // Another visit finalized it in between: the next look at the order tells.
    if (isProblem(error, 'orderNotReady')) return { ...order, status: 'processing' };
    throw error;
  }
}

interface Shown {
  readonly shown: AsyncDisposableStack;
  /** URLs of challenges whose answer is visible. */
  readonly presented: Set<string>;
}

/** Gives what the order waits for, or the problem with which a name failed for good. */
async function showNames(
  client: AcmeClient,
  order: Order,
  solver: Solver | undefined,
  { shown, presented }: Shown,
  signal: AbortSignal,
): Promise<{ readonly said: string; readonly retryAfterMs: number } | AcmeProblem> {
  const waitsFor: string[] = [];
  let longestMs = 0;
  for (const authorization of await client.authorizations(order, signal)) {
    const { status, identifier, challenges, retryAfterMs = 0 } = authorization;
    if (status === 'valid') continue;
    // Some servers leave the order pending although it cannot get on any more.
    if (status !== 'pending') return problemOfNames([authorization]);
    const challenge = challenges.find(({ type }) => type === solver?.type);
    if (challenge === undefined || solver === undefined) throw notAuthorised(authorization);
    waitsFor.push(describe(identifier.value, challenge));
    longestMs = Math.max(longestMs, retryAfterMs);
    if (presented.has(challenge.url)) continue;
    const answer = await client.answerTo(challenge);
    const { token = '' } = challenge;
    shown.use(await solver.present({ name: identifier.value, token, answer }, signal));
    presented.add(challenge.url);
    if (challenge.status === 'pending') await begin(client, challenge, signal);
  }
  const said = waitsFor.join('; ');
  return {
    said: said || 'each name is authorised, and the order is pending nevertheless',
    retryAfterMs: longestMs,
  };
}

async function begin(client: AcmeClient, challenge: Challenge, signal: AbortSignal) {
  try {
    await client.begin(challenge, signal);
  } catch (error) {
    // Another visit was faster, and the challenge is no longer pending: the next look at the order tells.
    if (!isProblem(error, 'malformed')) throw error;
  }
}

function notAuthorised({ identifier, challenges }: Authorization): ProvisioningError {
  const offered = serverWords(challenges.map(({ type }) => type).join(', '));
  return new ProvisioningError(
    'ca-misconfigured',
    `The CA has not authorised ${serverWords(identifier.value)} and offers ${offered}. Set challenge to one of http-01 and dns-01 that it offers, or have the name authorised there.`,
  );
}

/** Why an order is invalid: the challenge that failed says it best, or the order itself (RFC 8555 7.1.3, 8). */
async function problemOfOrder(
  client: AcmeClient,
  order: Order,
  signal: AbortSignal,
): Promise<AcmeProblem> {
  if (isRefusal(problemType(order.error))) return invalid('The order is invalid', order.error);
  return problemOfNames(await client.authorizations(order, signal), order.error);
}

function problemOfNames(
  authorizations: readonly Authorization[],
  otherwise?: ProblemDocument,
): AcmeProblem {
  for (const { identifier, challenges } of authorizations) {
    const failed = challenges.find(({ error }) => error !== undefined);
    if (failed === undefined) continue;
    return invalid(
      `${serverWords(identifier.value)} failed ${serverWords(failed.type)}`,
      failed.error,
    );
  }
  const bad = authorizations.find(({ status }) => status !== 'valid' && status !== 'pending');
  const what =
    bad === undefined
      ? 'The order is invalid'
      : `The authorization of ${serverWords(bad.identifier.value)} is ${serverWords(bad.status)}`;
  return invalid(what, otherwise);
}

function invalid(what: string, error: ProblemDocument | undefined): AcmeProblem {
  const type = problemType(error);
  const words = error === undefined ? '' : wordsOf(error);
  const said = words === '' ? 'the server does not say why' : words;
  return new AcmeProblem(type, 200, `${what}${type === '' ? '' : ` (${type})`}: ${said}`);
}

function describe(name: string, { type, status, error }: Challenge): string {
  const said = error === undefined ? '' : ` (${problemType(error)}: ${wordsOf(error)})`;
  return `${serverWords(name)} waits for ${serverWords(type)}, which is ${serverWords(status)}${said}`;
}
