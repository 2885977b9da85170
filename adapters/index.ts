import type { BuiltInAdapters } from '../src/issue/adapter-loader.ts';

/** Every kind of CA that comes with the project; each is loaded only when a configuration names it. */
export const adapters = {
  acme: () => import('./acme.ts'),
  cfssl: () => import('./cfssl.ts'),
  exec: () => import('./exec.ts'),
  'local-ca': () => import('./local-ca.ts'),
  'step-ca': () => import('./step-ca.ts'),
} as const satisfies BuiltInAdapters;
