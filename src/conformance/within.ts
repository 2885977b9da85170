import assert from 'node:assert/strict';
import { setTimeout as sleepFor } from 'node:timers/promises';

/** The result of a call, or a failure when it takes longer. In real milliseconds. */
export async function within<Result>(mostMs: number, call: PromiseLike<Result>): Promise<Result> {
  const over = new AbortController();
  const late = sleepFor(mostMs, undefined, { signal: over.signal }).then(() =>
    assert.fail(`it did not end within ${mostMs} ms`),
  );
  try {
    return await Promise.race([call, late]);
  } finally {
    over.abort();
    await late.catch(() => undefined); // Ended by us.
  }
}
