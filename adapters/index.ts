import type { BuiltInAdapters } from '../src/issue/adapter-loader.ts';

/** Every kind of CA that comes with the project; each is loaded only when a configuration names it. */
export const adapters = {
  acme: () => import('./acme.ts'),
  adcs: () => import('./adcs.ts'),
  'aws-private-ca': () => import('./aws-private-ca.ts'),
  cfssl: () => import('./cfssl.ts'),
  cmp: () => import('./cmp.ts'),
  ejbca: () => import('./ejbca.ts'),
  est: () => import('./est.ts'),
  exec: () => import('./exec.ts'),
  'google-cas': () => import('./google-cas.ts'),
  'local-ca': () => import('./local-ca.ts'),
  scep: () => import('./scep.ts'),
  'step-ca': () => import('./step-ca.ts'),
  'vault-pki': () => import('./vault-pki.ts'),
  webhook: () => import('./webhook.ts'),
} as const satisfies BuiltInAdapters;
