/** The authorities of a campaign and the directories of their ledgers. */
export const authorities = {
  default_ca_config: 'local-ca',
  surplus_ca: 'surplus-ca',
  unrevoking_ca: 'unrevoking-ca',
} as const;

export interface WorkerWorld {
  readonly restUrl: string;
  readonly pubsubEndpoint: string;
  readonly project: string;
  readonly subscription: string;
  readonly journal: 'sqlite' | 'postgres';
  readonly leaseSeconds: number;
}

/** One instance's configuration, in the campaign's directory. */
export function workerConfig(world: WorkerWorld, instance: string): string {
  const plugIn = `${import.meta.dirname}/surplus-ca.ts`;
  const journal =
    world.journal === 'sqlite' ? 'path: ./journal.db' : 'url: { env: CAMPAIGN_DATABASE_URL }';
  return `# Written by npm run campaign.
instance: ${instance}
google: { endpoint: "${world.restUrl}", credentials: none, requestsPerSecond: 1000 }
pubsub: { project: ${world.project}, subscription: ${world.subscription}, endpoint: "${world.pubsubEndpoint}" }
journal:
  kind: ${world.journal}
  ${journal}
  leaseSeconds: ${world.leaseSeconds}
authorities:
  default_ca_config:
    kind: local-ca
    options: { directory: ./${authorities.default_ca_config}, name: SIMULATOR - NOT FOR PRODUCTION }
  surplus_ca:
    kind: ${plugIn}
    options: { directory: ./${authorities.surplus_ca}, revokes: true }
  unrevoking_ca:
    kind: ${plugIn}
    options: { directory: ./${authorities.unrevoking_ca}, revokes: false }
profiles:
  device_profile: { subject: "CN=\${DEVICE_SERIAL_NUMBER},O=Example" }
  user_profile: { subject: "CN=\${USER_EMAIL},O=Example" }
  pending_profile: { subject: "CN=\${DEVICE_SERIAL_NUMBER},O=Example", template: pending }
# Those that are declined are many, and chance may put them in a row.
limits: { rejectedDevices: 1000 }
unmatched: refuse
server: { port: 0 }
log: { level: info }
`;
}
