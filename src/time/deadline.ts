import type { Clock } from './clock.ts';

/** A wait ended because its deadline passed, not because somebody aborted it. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
}

/** A reason that is made once: without one, an AbortController makes an error with a stack each time. */
const workIsDone = new Error('The work was done before its deadline.');

/**
 * Runs `work` for at most `forMs`. It rejects with a {@link DeadlineError}, or with the outer signal's
 * reason, as soon as either happens, even when `work` does not listen to the signal it is given.
 */
export async function withDeadline<Result>(
  clock: Clock,
  forMs: number,
  outer: AbortSignal,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  outer.throwIfAborted();
  const inner = new AbortController();
  const timer = new AbortController();
  const abort = () => inner.abort(outer.reason);
  outer.addEventListener('abort', abort, { once: true });
  clock.sleep(forMs, timer.signal).then(
    () => inner.abort(new DeadlineError(`No answer within ${forMs / 1_000} seconds.`)),
    () => undefined, // The work was done before its deadline.
  );
  try {
    return await new Promise<Result>((resolve, reject) => {
      inner.signal.addEventListener('abort', () => reject(inner.signal.reason), { once: true });
      work(inner.signal).then(resolve, reject);
    });
  } finally {
    timer.abort(workIsDone);
    outer.removeEventListener('abort', abort);
  }
}
