import type { Random } from './clock.ts';

/** A backoff that doubles from `firstMs` to `mostMs`. */
export interface Backoff {
  readonly firstMs: number;
  readonly mostMs: number;
}

/** How often a waiting process is looked at: from a second to five minutes. */
export const pollBackoff: Backoff = { firstMs: 1_000, mostMs: 5 * 60_000 };

/** How long a process rests after trouble that passes by itself. */
export const troubleBackoff: Backoff = { firstMs: 2_000, mostMs: 5 * 60_000 };

/** How long a process rests after an error that nobody foresaw. */
export const bugBackoff: Backoff = { firstMs: 60_000, mostMs: 60 * 60_000 };

/**
 * The pause before attempt number `attempt` (0 is the first repeat), in milliseconds. It doubles, and is
 * jittered over [half, whole], so that many processes that failed together do not come back together.
 */
export function backoffMs(backoff: Backoff, attempt: number, random: Random): number {
  const wholeMs = Math.min(backoff.mostMs, backoff.firstMs * 2 ** Math.min(attempt, 30));
  return Math.round(wholeMs / 2 + (wholeMs / 2) * random());
}
