import { setTimeout as sleepFor } from 'node:timers/promises';

/** A call, or a whole case, took too long. */
export class LateError extends Error {
  override readonly name = 'LateError';
}

/** The result of a call, or a failure when it takes longer. In real milliseconds. */
export async function within<Result>(mostMs: number, call: PromiseLike<Result>): Promise<Result> {
  const over = new AbortController();
  const late = sleepFor(mostMs, undefined, { signal: over.signal }).then(() => {
    throw new LateError(`it did not end within ${mostMs} ms`);
  });
  try {
    return await Promise.race([call, late]);
  } finally {
    over.abort();
    await late.catch(() => undefined); // Ended by us.
  }
}
