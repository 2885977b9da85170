import { GoogleError } from '../errors.ts';
import type { Events } from '../events/events.ts';
import type { TokenSource } from '../google-auth/credentials.ts';
import type { Clock } from '../time/clock.ts';

export interface TokenWatchOptions {
  readonly tokens: TokenSource;
  readonly events: Events;
  readonly clock: Clock;
}

/** A token that is at hand costs nothing to ask for, and is renewed minutes before it expires. */
const whileUpMs = 30_000;
const whileDownMs = 10_000;

/**
 * Looks now and then whether a token can be had, so that a key that was deleted shows before the next device comes.
 * Resolves when the signal is aborted.
 */
export async function watchTokens(
  { tokens, events, clock }: TokenWatchOptions,
  signal: AbortSignal,
): Promise<void> {
  let told: string | undefined;
  while (!signal.aborted) {
    const problem = await problemOf(tokens, signal);
    if (signal.aborted) return;
    if (problem !== told) {
      events.emit('googleToken', problem === undefined ? { up: true } : { up: false, problem });
    }
    told = problem;
    // An abort ends the wait, and with it the loop.
    await clock
      .sleep(problem === undefined ? whileUpMs : whileDownMs, signal)
      .catch(() => undefined);
  }
}

async function problemOf(tokens: TokenSource, signal: AbortSignal): Promise<string | undefined> {
  try {
    await tokens.header(signal);
    return undefined;
  } catch (error) {
    if (signal.aborted) return undefined;
    if (error instanceof GoogleError) return error.message;
    throw error;
  }
}
