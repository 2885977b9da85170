import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { adapters } from '../../adapters/index.ts';
import { adapterHttp } from '../../adapters/shared/http.ts';
import type { CertificateAuthority } from '../../src/plug-in/certificate-authority.ts';
import { systemClock } from '../../src/time/clock.ts';
import { connectContext } from '../support/connect-context.ts';
import { caArn } from './doubles/aws-private-ca.ts';
import {
  type NamedTlsServer,
  startNamedTlsServer,
  startTunnelProxy,
  type TunnelProxy,
} from './doubles/named-tls-server.ts';
import { ScriptedHttpServer } from './doubles/scripted-http-server.ts';
import { keyPassword, startStepCaDouble } from './doubles/step-ca-double.ts';

const never = new AbortController().signal;

/** Every kind that speaks HTTPS, with what it needs to say its first word to `origin`. */
const kinds: Readonly<Record<string, (origin: string) => Record<string, unknown>>> = {
  acme: (origin) => ({
    directoryUrl: `${origin}/directory`,
    directory: './acme',
    termsOfServiceAgreed: true,
  }),
  adcs: (origin) => ({ transport: 'certsrv', url: `${origin}/certsrv`, ...account }),
  'adcs by ces': (origin) => ({ url: `${origin}/CA_CES/service.svc/CES`, ...account }),
  'aws-private-ca': (origin) => ({
    certificateAuthorityArn: caArn,
    endpoint: origin,
    credentials: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: { env: 'SECRET' } },
  }),
  cfssl: (origin) => ({ url: origin, profile: 'wifi' }),
  cmp: (origin) => ({
    url: `${origin}/pkix`,
    check: 'genm',
    reference: 'ra-7',
    secret: { env: 'SECRET' },
  }),
  ejbca: (origin) => ({
    url: origin,
    certificateAuthority: 'CA',
    endEntityProfile: 'EE',
    certificateProfile: 'Wi-Fi',
    auth: { method: 'bearer', token: { env: 'SECRET' } },
  }),
  est: (origin) => ({ url: origin }),
  'google-cas': (origin) => ({
    caPool: 'projects/p/locations/europe-west1/caPools/wifi',
    endpoint: origin,
    credentials: { file: 'identity.json' },
  }),
  scep: (origin) => ({
    url: `${origin}/scep`,
    caFingerprints: ['0'.repeat(64)],
    challenge: { env: 'SECRET' },
  }),
  'step-ca': (origin) => ({
    url: origin,
    provisioner: 'wifi',
    key: { env: 'STEP_KEY' },
    keyPassword: { env: 'STEP_PASSWORD' },
  }),
  'vault-pki': (origin) => ({
    url: origin,
    role: 'wifi',
    auth: { method: 'token', token: { env: 'SECRET' } },
  }),
  webhook: (origin) => ({
    url: origin,
    healthUrl: `${origin}/health`,
    secret: { env: 'SECRET' },
  }),
};
const account = { username: 'DOMAIN\\user', password: { env: 'SECRET' } };

describe('a server with several names', () => {
  let server: NamedTlsServer;
  let proxy: TunnelProxy;
  let tokens: ScriptedHttpServer;
  let env: Record<string, string>;

  beforeAll(async () => {
    server = await startNamedTlsServer(['localhost', 'ca.example']);
    proxy = await startTunnelProxy();
    tokens = await ScriptedHttpServer.start(() => ({
      status: 200,
      body: { access_token: 'token', token_type: 'Bearer', expires_in: 3_600 },
    }));
    const step = await startStepCaDouble();
    env = { SECRET: 'secret-text', STEP_KEY: step.encryptedKey, STEP_PASSWORD: keyPassword };
    await step.server[Symbol.asyncDispose]();
    const identity = {
      type: 'external_account',
      audience:
        '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q',
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      token_url: `${tokens.origin}/sts`,
      credential_source: { file: join(server.directory, 'subject-token') },
    };
    await writeFile(join(server.directory, 'subject-token'), 'subject-token');
    await writeFile(join(server.directory, 'identity.json'), JSON.stringify(identity));
  });

  afterAll(async () => {
    for (const each of [server, proxy, tokens]) await each[Symbol.asyncDispose]();
  });

  beforeEach(() => {
    for (const list of [server.asked, server.requests, proxy.asked]) list.length = 0;
  });

  async function connected(kind: string, given: object): Promise<CertificateAuthority> {
    const name = kind.split(' ')[0] as keyof typeof adapters;
    const { default: adapter } = await adapters[name]();
    const options = adapter.options.parse({ ...given, tls: { caFile: server.caFile } });
    return adapter.connect(options as never, connectContext(server.directory, { env }), never);
  }

  it.each(Object.entries(kinds))('is told by %s which one is meant', async (kind, options) => {
    await using ca = await connected(kind, options(`https://localhost:${server.port}`));
    await expect(ca.check(never)).rejects.toThrow('503');
    expect(new Set(server.asked)).toEqual(new Set(['localhost']));
    expect(server.requests).not.toEqual([]);
  });

  it.each(Object.entries(kinds))('is told by %s through a proxy too', async (kind, options) => {
    const given = { ...options(`https://ca.example:${server.port}`), proxy: proxy.url };
    await using ca = await connected(kind, given);
    await expect(ca.check(never)).rejects.toThrow('503');
    expect(new Set(server.asked)).toEqual(new Set(['ca.example']));
    expect(new Set(proxy.asked)).toEqual(new Set([`ca.example:${server.port}`]));
    expect(server.requests).not.toEqual([]);
  });

  it('is not taken for an address, which names no server and is compared with the certificate', async () => {
    const { caFile, port } = server;
    await using http = adapterHttp({ tls: { caFile }, clock: systemClock });
    const url = `https://127.0.0.1:${port}`;
    await expect(http.request({ method: 'GET', url }, never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
    });
    expect(server.requests).toEqual([]);
  });

  it('covers every kind that has a URL', async () => {
    const covered = new Set(Object.keys(kinds).map((kind) => kind.split(' ')[0]));
    const others = Object.keys(adapters).filter((kind) => !covered.has(kind));
    expect(others).toEqual(['exec', 'local-ca']);
  });
});
