import { describe, expect, it } from 'vitest';
import { GoogleError } from '../../src/errors.ts';
import { Events } from '../../src/events/events.ts';
import { watchTokens } from '../../src/google/token-watch.ts';
import type { TokenSource } from '../../src/google-auth/credentials.ts';
import { ServiceState } from '../../src/telemetry/service-state.ts';
import { SkippingClock } from '../support/skipping-clock.ts';

describe('the watch over access tokens', () => {
  it('turns readiness red while none can be had, with nothing due, and tells each change once', async () => {
    const events = new Events();
    const state = new ServiceState(events);
    const stop = new AbortController();
    const seen: unknown[] = [];
    events.on('googleToken', ({ up }) => seen.push([up, state.readiness(new Map()).google]));
    const answers = [true, false, false, true, true];
    const tokens: TokenSource = {
      async header() {
        const good = answers.shift();
        if (good === undefined) stop.abort(new Error('enough'));
        if (good !== false) return 'Bearer x';
        throw new GoogleError('google-unauthenticated', 'No token: invalid_grant.', {
          unclear: false,
        });
      },
      invalidate: () => undefined,
    };
    const clock = new SkippingClock();
    await watchTokens({ tokens, events, clock }, stop.signal);
    expect(seen).toEqual([
      [false, { ready: false, detail: 'No token: invalid_grant.' }],
      [true, { ready: true }],
    ]);
    expect(clock.slept).toEqual([30_000, 10_000, 10_000, 30_000, 30_000]);
  });
});
