import type { BuiltInAdapters } from '../src/issue/adapter-loader.ts';

/** Every kind of CA that comes with the project; each is loaded only when a configuration names it. */
export const adapters = {
  adcs: () => import('./adcs.ts'),
  'aws-private-ca': () => import('./aws-private-ca.ts'),
  exec: () => import('./exec.ts'),
  'google-cas': () => import('./google-cas.ts'),
  'local-ca': () => import('./local-ca.ts'),
} as const satisfies BuiltInAdapters;
