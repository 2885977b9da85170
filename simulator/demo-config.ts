import { stringify } from 'yaml';
import type { DemoAuthority } from './demo-authority.ts';

/** The configuration of the demo's service, as an administrator would write it. Paths start at data/demo. */
export function demoConfig(
  world: {
    readonly restUrl: string;
    readonly pubsubEndpoint: string;
    readonly project: string;
    readonly subscription: string;
  },
  { authority, profiles }: Pick<DemoAuthority, 'authority' | 'profiles'>,
): string {
  const config = {
    instance: 'demo',
    google: { endpoint: world.restUrl, credentials: 'none', requestsPerSecond: 1_000 },
    pubsub: {
      project: world.project,
      subscription: world.subscription,
      endpoint: world.pubsubEndpoint,
    },
    journal: { kind: 'sqlite', path: './journal.db' },
    authorities: { default_ca_config: authority },
    profiles,
    server: { port: 0 },
  };
  return `# Written by npm run demo; the root's config.yaml is the commented example.\n${stringify(config)}`;
}
