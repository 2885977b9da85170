import fc from 'fast-check';
import { expect, it } from 'vitest';
import { scrub } from '../../src/words/scrub.ts';

/** What the rules look for, whole and in pieces, and what may stand around it. */
const pieces = [
  ...['Bearer', 'Basic', 'password', 'client_secret', 'api-key', 'token', 'challenge', 'pin', 'is'],
  ...['ya29.', '1//0', 'GOCSPX-', 'AIza', 'hvs.', 'hvb.', 'hvr.', 's.', 'b.', 'r.', 'AKIA', 'ASIA'],
  ...['ghp_', 'gho_', 'github_pat_', 'glpat-', 'xoxb-', 'xoxp-', 'eyJhbGciOiJIUzI1NiJ9.'],
  ...['-----BEGIN PRIVATE KEY-----', 'https://user:', '@', '//', '/', '.', '-', '_', '"', '{', '['],
];
const value = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';
const words = fc.array(
  fc.oneof(fc.constantFrom(...pieces, value), fc.stringMatching(/^[\w.+/-]{1,40}$/)),
  {
    maxLength: 8,
  },
);

it('gives a text without spaces, colons and the like back only where no rule finds anything in it', () => {
  // With a space in front every rule is tried.
  fc.assert(
    fc.property(words, fc.constantFrom(...pieces), (parts, mark) => {
      const text = `${parts.join('')}.${mark}${value}.${value}`;
      expect(` ${scrub(text)}`).toBe(scrub(` ${text}`));
    }),
    { numRuns: 5_000 },
  );
});
