import { ProvisioningError } from '../../src/errors.ts';
import { type HttpAnswer, retryAfterOf } from './http.ts';

export interface StatusContext {
  /** What happened, for operators: who answered what, in its words. Without a full stop. */
  readonly what: string;
  /**
   * Whether the CA itself said it, in the form that its protocol gives to refusals. What is not its own (a page of
   * HTML, an empty or cut body, JSON of another shape) may come from anything in between, and decides nothing.
   */
  readonly isOwn: boolean;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** What mends it, where an administrator has to act. */
  readonly hint?: string | undefined;
}

/** Statuses by which nobody carries out what was asked, whoever says them. */
const surelyNothingDone: readonly number[] = [301, 302, 307, 308, 401, 429];

/**
 * The error that an answer means by its status, where it is neither success nor a decision of the CA. It says whether
 * the request may have been carried out: a refusal in the CA's own words was not.
 */
export function statusProblem(answer: HttpAnswer, context: StatusContext): ProvisioningError {
  const { status, headers } = answer;
  const { isOwn, now, hint = '' } = context;
  const what = /[.!?…]$/.test(context.what) ? context.what : `${context.what}.`;
  const retryAfterMs = retryAfterOf(headers, now);
  const pause = retryAfterMs === undefined ? {} : { retryAfterMs };
  if (status === 429) return new ProvisioningError('ca-throttled', what, pause);
  // 499: some proxy's word for a request that it gave up.
  if (status >= 500 || [408, 425, 499].includes(status)) {
    return new ProvisioningError('ca-unavailable', what + whoSaid(answer, isOwn), pause);
  }
  if (status < 300) return new ProvisioningError('ca-bad-answer', what);
  const mend = status === 407 ? proxyHint : status < 400 ? redirectHint(answer) : hint;
  const message = [what + whoSaid(answer, isOwn), mend].filter((part) => part !== '');
  return new ProvisioningError('ca-misconfigured', message.join(' '), {
    unanswered: !isOwn && !surelyNothingDone.includes(status),
  });
}

const proxyHint = 'A proxy on the way asks who we are: put a user and a password into its URL.';

function redirectHint({ headers: { location } }: HttpAnswer): string {
  const to = typeof location === 'string' && URL.canParse(location) ? new URL(location) : undefined;
  const where = to === undefined ? 'it points to' : `it points to, at ${to.origin}`;
  return `Redirects are not followed: write the URL that ${where}.`;
}

function whoSaid({ headers }: HttpAnswer, isOwn: boolean): string {
  if (isOwn) return '';
  const { server } = headers;
  const by = typeof server === 'string' ? ` (server: ${server.slice(0, 100)})` : '';
  return ` This is not the CA’s own form of an error${by}: it may come from a proxy or a load balancer on the way.`;
}

/**
 * Runs what has to be done or asked before an order: whatever fails there, no order has left.
 *
 * @throws what `work` throws, a {@link ProvisioningError} with `unanswered: false`.
 */
export async function beforeOrder<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof ProvisioningError) || error.unanswered === false) throw error;
    const { code, message, retryAfterMs } = error;
    throw new ProvisioningError(code, message, {
      cause: error,
      unanswered: false,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  }
}
