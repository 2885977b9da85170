import type { BuiltInAdapters } from '../src/plug-in/adapter-loader.ts';

/** Every kind of CA that comes with the project; each is loaded only when a configuration names it. */
export const adapters = {
  acme: () => import('./acme/acme.ts'),
  adcs: () => import('./adcs/adcs.ts'),
  'aws-private-ca': () => import('./aws-private-ca/aws-private-ca.ts'),
  cfssl: () => import('./cfssl/cfssl.ts'),
  cmp: () => import('./cmp/cmp.ts'),
  ejbca: () => import('./ejbca/ejbca.ts'),
  est: () => import('./est/est.ts'),
  exec: () => import('./exec/exec.ts'),
  'google-cas': () => import('./google-cas/google-cas.ts'),
  'local-ca': () => import('./local-ca/local-ca.ts'),
  scep: () => import('./scep/scep.ts'),
  'step-ca': () => import('./step-ca/step-ca.ts'),
  'vault-pki': () => import('./vault-pki/vault-pki.ts'),
  webhook: () => import('./webhook/webhook.ts'),
} as const satisfies BuiltInAdapters;
