import fc from 'fast-check';
import { expect, it } from 'vitest';
import { scrub } from '../../src/words/scrub.ts';

/** What the rules look for, whole and in pieces, and what may stand around it. */
const pieces = [
  ...[
    'Bearer',
    'bearer',
    'Basic',
    'NTLM',
    'ya29.',
    '1//0',
    'GOCSPX-',
    'AIza',
    'hvs.',
    's.',
    'b.',
    'r.',
  ],
  ...['AKIA', 'ASIA', 'ghp_', 'github_pat_', 'glpat-', 'xoxb-', 'eyJ', 'eyJhbGciOiJIUzI1NiJ9'],
  ...['password', 'Passwort', 'client_secret', 'api-key', 'token', 'challenge', 'pin', 'secret'],
  ...[
    '-----BEGIN PRIVATE KEY-----',
    '-----END',
    'https://user',
    '@host',
    '//',
    '/',
    '.',
    '-',
    '_',
    '"',
    '{',
    '[',
  ],
  ...[
    'AbCdEfGh0123456789AbCdEfGh',
    'abcdef0123456789abcdef0123456789abcd',
    'Q0FGRQ==',
    '%3A',
    '%20',
    'is',
  ],
];
const words = fc.array(
  fc.oneof(fc.constantFrom(...pieces), fc.stringMatching(/^[\w.+/-]{1,40}$/)),
  {
    maxLength: 8,
  },
);

it('gives a text without spaces, colons and the like back only where no rule finds anything in it', () => {
  // With a space in front every rule is tried.
  fc.assert(
    fc.property(words, (parts) => {
      const text = parts.join('');
      expect(` ${scrub(text)}`).toBe(scrub(` ${text}`));
    }),
    { numRuns: 5_000 },
  );
});
