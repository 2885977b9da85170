/** The configuration of the demo's service, as an administrator would write it. Paths start at data/demo. */
export function demoConfig(world: {
  readonly restUrl: string;
  readonly pubsubEndpoint: string;
  readonly project: string;
  readonly subscription: string;
}): string {
  return `# Written by npm run demo; the root's config.yaml is the commented example.
instance: demo
google:
  endpoint: ${world.restUrl}
  credentials: none
  requestsPerSecond: 1000
pubsub:
  project: ${world.project}
  subscription: ${world.subscription}
  endpoint: ${world.pubsubEndpoint}
journal:
  kind: sqlite
  path: ./journal.db
authorities:
  default_ca_config:
    kind: local-ca
    options:
      directory: ./ca
      name: SIMULATOR - NOT FOR PRODUCTION
profiles:
  device_profile:
    subject: CN=\${DEVICE_SERIAL_NUMBER},OU=Chromebooks,O=Example
    subjectAltNames:
      - { type: dns, value: "\${DEVICE_SERIAL_NUMBER}.devices.example" }
  user_profile:
    subject: CN=\${USER_EMAIL},O=Example
    subjectAltNames:
      - { type: email, value: "\${USER_EMAIL}" }
      - { type: upn, value: "\${USER_EMAIL}" }
server:
  port: 0
`;
}
