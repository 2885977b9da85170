import 'reflect-metadata';
import { cryptoProvider } from '@peculiar/x509';
import { expect, it } from 'vitest';

it('has a crypto provider of its own, and leaves alone the one that a plug-in’s keys are of', async () => {
  const { provider } = await import('../../src/x509/x509-library.ts');
  expect(provider).not.toBe(globalThis.crypto);
  expect(cryptoProvider.get()).toBe(globalThis.crypto);
});
