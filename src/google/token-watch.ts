import { GoogleError } from '../errors.ts';
import type { Events } from '../events/events.ts';
import type { TokenSource } from '../google-auth/credentials.ts';
import type { Clock } from '../time/clock.ts';
import { type UpOrDown, watchForTrouble } from '../watch/watch-for-trouble.ts';

export interface TokenWatchOptions {
  readonly tokens: TokenSource;
  readonly events: Events;
  readonly clock: Clock;
}

/** A token that is at hand costs nothing to ask for, and is renewed minutes before it expires. */
const pauseMs = { up: 30_000, down: 10_000 };

/** Checks now and then that a token is available, so that a deleted key shows before the next device comes. */
export function watchTokens(
  { tokens, events, clock }: TokenWatchOptions,
  signal: AbortSignal,
): Promise<void> {
  const look = async (until: AbortSignal) => {
    try {
      await tokens.header(until);
      return undefined;
    } catch (error) {
      if (error instanceof GoogleError) return error.message;
      throw error;
    }
  };
  const tell = (state: UpOrDown) => void events.emit('googleToken', state);
  return watchForTrouble({ look, tell, pauseMs, clock, events }, signal);
}
