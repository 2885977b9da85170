import type acme from 'acme-client';
import type { Clock } from '../../src/clock.ts';
import { ProvisioningError } from '../../src/errors.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { quote } from '../shared/json-answer.ts';
import { AcmeProblem, problemDocument, problemType } from './problem.ts';
import type { Solver } from './solver.ts';

/** Where an order got to. */
export type OrderState =
  | { readonly kind: 'valid' /** PEM. */; readonly chain: string }
  | { readonly kind: 'waiting' }
  | { readonly kind: 'invalid'; readonly problem: AcmeProblem };

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
 * once, and the certificate of a valid one is fetched. Whatever was done before is not done again.
 */
export async function walkOrder(
  client: acme.Client,
  url: string,
  csr: Uint8Array,
  limits: WalkLimits,
  signal: AbortSignal,
): Promise<OrderState> {
  const until = limits.clock.now() + limits.waitMs;
  await using shown = new AsyncDisposableStack();
  const presented = new Set<string>();
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(longestPauseMs, pauseMs * 2)) {
    // acme-client takes the URL from the order that it is to fetch anew.
    const order = await client.getOrder({ url } as acme.Order);
    switch (order.status) {
      case 'valid':
        return { kind: 'valid', chain: String(await client.getCertificate(order)) };
      case 'invalid':
        return { kind: 'invalid', problem: await problemOfOrder(client, order) };
      case 'pending':
        await showNames(client, order, limits.solver, { shown, presented }, signal);
        break;
      case 'ready':
        await finalize(client, order, csr);
        break;
      default:
        break; // Processing.
    }
    if (limits.clock.now() + pauseMs > until) return { kind: 'waiting' };
    if (order.status !== 'ready') await limits.clock.sleep(pauseMs, signal);
  }
}

async function finalize(client: acme.Client, order: acme.Order, csr: Uint8Array): Promise<void> {
  try {
    await client.finalizeOrder(order, encodePem('CERTIFICATE REQUEST', csr));
  } catch (error) {
    // Another visit finalized it in between: the next look at the order tells.
    if (!(error instanceof AcmeProblem && error.type === 'orderNotReady')) throw error;
  }
}

interface Shown {
  readonly shown: AsyncDisposableStack;
  /** URLs of challenges whose answer is visible. */
  readonly presented: Set<string>;
}

async function showNames(
  client: acme.Client,
  order: acme.Order,
  solver: Solver | undefined,
  { shown, presented }: Shown,
  signal: AbortSignal,
): Promise<void> {
  for (const { status, identifier, challenges } of await client.getAuthorizations(order)) {
    if (status !== 'pending') continue;
    const challenge = challenges.find(({ type }) => type === solver?.type);
    if (challenge === undefined || solver === undefined) {
      const offered = quote(challenges.map(({ type }) => type).join(', '));
      throw new ProvisioningError(
        'ca-misconfigured',
        `The CA has not authorised ${quote(identifier.value)} and offers ${offered}. Set challenge to one of http-01 and dns-01 that it offers, or have the name authorised there.`,
      );
    }
    if (presented.has(challenge.url)) continue;
    const answer = await client.getChallengeKeyAuthorization(challenge);
    const { token } = challenge;
    shown.use(await solver.present({ name: identifier.value, token, answer }, signal));
    presented.add(challenge.url);
    if (challenge.status === 'pending') await begin(client, challenge);
  }
}

async function begin(
  client: acme.Client,
  challenge: Parameters<typeof client.completeChallenge>[0],
) {
  try {
    await client.completeChallenge(challenge);
  } catch (error) {
    // Another visit was faster, and the challenge is no longer pending: the next look at the order tells.
    if (!(error instanceof AcmeProblem && error.type === 'malformed')) throw error;
  }
}

/** Why an order is invalid: the order says it, or the challenge that failed (RFC 8555 7.1.3, 8). */
async function problemOfOrder(client: acme.Client, order: acme.Order): Promise<AcmeProblem> {
  const authorizations = order.error === undefined ? await client.getAuthorizations(order) : [];
  const errors: unknown[] = [
    order.error,
    ...authorizations.flatMap(({ challenges }) => challenges.map(({ error }) => error)),
  ];
  for (const error of errors) {
    const read = problemDocument.safeParse(error);
    if (!read.success) continue;
    const type = problemType(read.data.type);
    return new AcmeProblem(
      type,
      200,
      `The order is invalid (${type}): ${quote(read.data.detail ?? '')}`,
    );
  }
  return new AcmeProblem('', 200, 'The order is invalid, and the server does not say why.');
}
