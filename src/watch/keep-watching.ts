import type { Events } from '../events/events.ts';
import type { Clock } from '../time/clock.ts';

/** Long enough for an error at each beginning not to fill the log. */
const pauseMs = 10_000;

/**
 * Runs something that watches for as long as the service runs. If it ends with an unforeseen error, this is reported
 * as a bug and it begins anew: a service that goes on without one of its watches would show for ever what that one
 * saw last. Resolves when it ends by itself or with the signal; never rejects.
 */
export async function keepWatching(
  watch: () => Promise<void>,
  { clock, events }: { readonly clock: Clock; readonly events: Events },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      return await watch();
    } catch (error) {
      if (signal.aborted) return;
      events.emit('bug', { error });
    }
    // An abort ends the wait, and with it the loop.
    await clock.sleep(pauseMs, signal).catch(() => undefined);
  }
}
