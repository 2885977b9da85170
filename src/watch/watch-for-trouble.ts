import type { Events } from '../events/events.ts';
import type { Clock } from '../time/clock.ts';

export type UpOrDown = { readonly up: true } | { readonly up: false; readonly problem: string };

export interface Watched {
  /** Why it does not work; undefined when it does. */
  look(signal: AbortSignal): Promise<string | undefined>;
  /** Called when it went down, came up, or is down for another reason. */
  tell(state: UpOrDown): void;
  /** How long after a look the next one follows. */
  readonly pauseMs: { readonly up: number; readonly down: number };
  /** A look that takes longer is trouble itself. */
  readonly patience?: { readonly ms: number; readonly problem: string };
  readonly clock: Clock;
  readonly events: Events;
}

/**
 * Looks now and then whether something works, so that its trouble shows while nobody needs it. An error that nobody
 * foresaw is told as a bug and says nothing about it. Resolves when the signal is aborted; never rejects.
 */
export async function watchForTrouble(watched: Watched, signal: AbortSignal): Promise<void> {
  const { pauseMs, clock, events } = watched;
  let told: string | undefined;
  const note = (problem: string | undefined) => {
    if (problem === told) return;
    told = problem;
    watched.tell(problem === undefined ? { up: true } : { up: false, problem });
  };
  while (!signal.aborted) {
    try {
      const { problem, isLate } = await patientLook(watched, note, signal);
      if (signal.aborted) return;
      // What a look that was told of as late came to in the end is no news.
      if (problem === undefined || !isLate) note(problem);
    } catch (error) {
      if (signal.aborted) return;
      events.emit('bug', { error });
    }
    // An abort ends the wait, and with it the loop.
    const restMs = told === undefined ? pauseMs.up : pauseMs.down;
    await clock.sleep(restMs, signal).catch(() => undefined);
  }
}

async function patientLook(
  { look, patience, clock }: Watched,
  note: (problem: string) => void,
  signal: AbortSignal,
): Promise<{ readonly problem: string | undefined; readonly isLate: boolean }> {
  if (patience === undefined) return { problem: await look(signal), isLate: false };
  const answered = new AbortController();
  let isLate = false;
  const waited = clock.sleep(patience.ms, AbortSignal.any([signal, answered.signal])).then(
    () => {
      isLate = true;
      note(patience.problem);
    },
    () => undefined, // It answered, or the service stops.
  );
  try {
    return { problem: await look(signal), isLate };
  } finally {
    answered.abort();
    await waited;
  }
}
