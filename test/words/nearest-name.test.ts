import { expect, it } from 'vitest';
import { nearestName } from '../../src/words/nearest-name.ts';

const known = ['subject', 'subjectAltNames', 'keyUsages', 'validityDays', 'acme', 'adcs'];

it.each([
  ['subjct', 'subject'],
  ['KEYUSAGES', 'keyUsages'],
  ['subjectAltName', 'subjectAltNames'],
  ['valid', 'validityDays'],
  ['subject', 'subject'],
  ['acds', 'adcs'],
  ['colour', undefined],
  ['', undefined],
  ['x'.repeat(100_000), undefined],
])('%s means %s', (word, expected) => {
  expect(nearestName(word, known)).toBe(expected);
});
