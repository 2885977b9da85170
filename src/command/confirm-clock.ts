import type { Events } from '../events/events.ts';
import type { ChromeManagement } from '../google/chrome-management.ts';
import type { Journal } from '../journal/journal.ts';
import type { ClockWatch, Question } from '../watch/clock-watch.ts';
import { keepWatching } from '../watch/keep-watching.ts';

/** How long a start waits for somebody to say what time it is, where nobody says that the clock is wrong. */
const patienceMs = 3_000;

/** Compares the clock with others' until it is disposed. */
export function watchClock(
  clock: ClockWatch,
  journal: Journal,
  google: ChromeManagement,
  events: Events,
): AsyncDisposable {
  const stop = new AbortController();
  const questions: Record<'google' | 'journal', Question> = {
    google: (testify, signal) => google.askTime(testify, signal),
    async journal(testify, signal) {
      const now = await journal.now(signal);
      if (now !== undefined) testify(now, 1);
    },
  };
  const { signal } = stop;
  const running = keepWatching(() => clock.run(questions, signal), { clock, events }, signal);
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

/**
 * Resolves when the clock is right, or when nobody says anything about it for a while: then nothing is made either
 * until somebody does. Rejects with the signal's reason.
 */
export async function clockConfirmed(clock: ClockWatch, signal: AbortSignal): Promise<void> {
  const trusted = clock.untilTrusted(signal);
  do {
    const patience = new AbortController();
    await Promise.race([trusted, clock.sleep(patienceMs, patience.signal)]).finally(() =>
      patience.abort(),
    );
  } while (clock.isContradicted);
  trusted.catch(() => undefined); // Where nobody can be asked the work waits for it instead.
}
