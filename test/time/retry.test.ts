import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { line, lineAfter } from '../../src/journal/waiting-lines.ts';
import { backoffMs, bugBackoff, pollBackoff, troubleBackoff } from '../../src/time/retry.ts';

describe('backoffMs', () => {
  it('doubles from the first to the most', () => {
    const pauses = Array.from({ length: 11 }, (_, attempt) =>
      backoffMs(pollBackoff, attempt, () => 1),
    );
    expect(pauses).toEqual([
      1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000, 300_000,
    ]);
  });

  it('is jittered over the upper half, for any attempt and any chance', () => {
    const attempts = fc.nat({ max: 1_000_000 });
    const chances = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(attempts, chances, (attempt, chance) => {
        const whole = backoffMs(pollBackoff, attempt, () => 1);
        const jittered = backoffMs(pollBackoff, attempt, () => chance);
        return jittered >= Math.floor(whole / 2) && jittered <= whole;
      }),
    );
  });

  it('lets nobody stand in the prompt line again and again, where new processes would wait for them', () => {
    const attempts = Array.from({ length: 100 }, (_, attempt) => attempt);
    const promptly = (backoff: typeof pollBackoff) =>
      attempts.filter((attempt) => lineAfter(backoffMs(backoff, attempt, () => 0)) === line.prompt);
    expect(promptly(pollBackoff)).toEqual([0, 1]);
    expect(promptly(troubleBackoff)).toEqual([0]);
    expect(promptly(bugBackoff)).toEqual([]);
  });
});
