import type { BuiltInAdapters } from '../src/issue/adapter-loader.ts';

/** Every kind of CA that comes with the project; each is loaded only when a configuration names it. */
export const adapters = {
  ejbca: () => import('./ejbca.ts'),
  cmp: () => import('./cmp.ts'),
  est: () => import('./est.ts'),
  exec: () => import('./exec.ts'),
  'local-ca': () => import('./local-ca.ts'),
  scep: () => import('./scep.ts'),
  'vault-pki': () => import('./vault-pki.ts'),
  webhook: () => import('./webhook.ts'),
} as const satisfies BuiltInAdapters;
