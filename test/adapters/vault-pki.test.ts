import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import vaultPki from '../../adapters/vault-pki/vault-pki.ts';
import type { CertificateAuthority, Issuance } from '../../src/plug-in/certificate-authority.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { connectContext } from '../support/connect-context.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { sampleOrder } from '../support/sample-order.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { describeAdapter } from './contract.ts';
import type { ServerAnswer } from './doubles/scripted-http-server.ts';
import { VaultServer } from './doubles/vault-server.ts';
import { vaultPkiHarness } from './vault-pki-harness.ts';

describeAdapter('vault-pki (sign)', () => vaultPkiHarness('sign'));
describeAdapter('vault-pki (sign-verbatim)', () => vaultPkiHarness('sign-verbatim'));

const never = new AbortController().signal;
const approle = { method: 'approle', roleId: 'role-1', secretId: { env: 'SECRET_ID' } };
const signPath = ({ path }: { path: string }) => path.includes('/sign');

describe('a PKI secrets engine of Vault', () => {
  let vault: VaultServer;
  let home: Awaited<ReturnType<typeof temporaryDirectory>>;
  let clock: ManualClock;
  let opened: CertificateAuthority[];

  beforeEach(async () => {
    vault = await VaultServer.start();
    home = await temporaryDirectory();
    clock = new ManualClock();
    vault.now = () => clock.now();
    vault.credentials.add('role-1:secret-1').add('wifi-adapter:a.b.c');
    opened = [];
  });
  afterEach(async () => {
    for (const ca of opened) await ca[Symbol.asyncDispose]();
    await vault[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });

  async function open(given: object = {}): Promise<CertificateAuthority> {
    const env = { SECRET_ID: 'secret-1', JWT: 'a.b.c', TOKEN: 'hvs.static' };
    const options = vaultPki.options.parse({
      url: vault.server.origin,
      namespace: VaultServer.namespace,
      role: 'wifi',
      auth: approle,
      ...given,
    });
    const ca = await vaultPki.connect(options, connectContext(home.path, { clock, env }), never);
    opened.push(ca);
    return ca;
  }

  function facts(answer: Issuance) {
    if (answer.kind !== 'issued') throw new Error(`The order is ${answer.kind}.`);
    return readCertificate(answer.certificate);
  }

  it('passes over what is empty in a chain', async () => {
    const ca = await open();
    const certificate = encodePem('CERTIFICATE', vault.ca.issuing);
    const body = { data: { certificate, ca_chain: [''] } };
    vault.server.misbehave({ status: 200, body }, signPath);
    expect(await ca.issue(sampleOrder(), never)).toMatchObject({ kind: 'issued', chain: [] });
  });

  describe('tokens', () => {
    it.each([
      ['AppRole', approle, '/v1/auth/approle/login'],
      [
        'Kubernetes',
        { method: 'kubernetes', role: 'wifi-adapter', jwt: { env: 'JWT' } },
        '/v1/auth/kubernetes/login',
      ],
      ['JWT', { method: 'jwt', role: 'wifi-adapter', jwt: { env: 'JWT' } }, '/v1/auth/jwt/login'],
    ])('come from a login by %s', async (_, auth, path) => {
      const ca = await open({ auth });
      expect(await ca.issue(sampleOrder(), never)).toMatchObject({ kind: 'issued' });
      expect(vault.server.received[0]).toMatchObject({ method: 'POST', path });
    });

    it('come from a login by TLS certificate, with the role’s name and at its own mount', async () => {
      const { certificate, key } = vault.ca.clientCertificate();
      await writeFile(join(home.path, 'client.pem'), certificate + key);
      const auth = { method: 'cert', mount: 'tls/devices', role: 'adapter', namespace: 'team' };
      const ca = await open({ auth, tls: { certFile: 'client.pem', keyFile: 'client.pem' } });
      const client_token = vault.addToken('hvs.by-cert', 60);
      const body = { auth: { client_token, lease_duration: 60, renewable: false } };
      vault.server.misbehave({ status: 200, body });
      expect(await ca.issue(sampleOrder(), never)).toMatchObject({ kind: 'issued' });
      expect(vault.server.received[0]).toMatchObject({
        path: '/v1/auth/tls/devices/login',
        body: '{"name":"adapter"}',
        headers: { 'x-vault-namespace': 'team' },
      });
    });

    it('are asked for once, however many orders wait, and whoever gives up', async () => {
      const ca = await open();
      const impatient = new AbortController();
      const first = ca.issue(sampleOrder(), impatient.signal);
      const others = Array.from({ length: 5 }, () => ca.issue(sampleOrder(), never));
      impatient.abort(new Error('too long'));
      await expect(first).rejects.toThrow('too long');
      for (const answer of await Promise.all(others)) expect(answer.kind).toBe('issued');
      expect(vault.logins).toBe(1);
    });

    it('are renewed after two thirds of their life', async () => {
      const ca = await open();
      await ca.issue(sampleOrder(), never);
      clock.advance(2_300_000);
      await ca.check(never);
      expect(vault).toMatchObject({ logins: 1, renewals: 0 });
      clock.advance(200_000);
      await ca.check(never);
      expect(vault).toMatchObject({ logins: 1, renewals: 1 });
    });

    it('are replaced by a login when they cannot be renewed any further', async () => {
      const ca = await open();
      await ca.issue(sampleOrder(), never);
      clock.advance(2_500_000);
      vault.leaseSeconds = 60;
      await ca.check(never);
      expect(vault).toMatchObject({ logins: 2, renewals: 1 });
    });

    it.each([
      [
        'not renewable',
        () => {
          vault.tokensRenewable = false;
        },
        2_500_000,
      ],
      ['expired', () => undefined, 4_000_000],
    ])('are replaced by a login when they are %s', async (_, prepare, afterMs) => {
      prepare();
      const ca = await open();
      await ca.issue(sampleOrder(), never);
      clock.advance(afterMs);
      await ca.issue(sampleOrder(), never);
      expect(vault).toMatchObject({ logins: 2, renewals: 0 });
    });

    it('are replaced once when Vault forgot them, and the order is served', async () => {
      const ca = await open();
      await ca.issue(sampleOrder(), never);
      vault.revokeTokens();
      expect(await ca.issue(sampleOrder(), never)).toMatchObject({ kind: 'issued' });
      expect(vault.logins).toBe(2);
    });

    it('are kept when the policy forbids the call: another login would not help', async () => {
      vault.tokensMaySign = false;
      const ca = await open();
      await expect(ca.issue(sampleOrder(), never)).rejects.toMatchObject({
        code: 'ca-misconfigured',
        message: expect.stringContaining('permission denied'),
      });
      expect(vault.logins).toBe(1);
    });

    it('are read anew from their file when somebody else rotates them', async () => {
      const file = join(home.path, 'token');
      await writeFile(file, `${vault.addToken('hvs.one', 600)}\n`);
      const ca = await open({ auth: { method: 'token', token: { file: 'token' } } });
      await ca.issue(sampleOrder(), never);
      vault.revokeTokens();
      await writeFile(file, `${vault.addToken('hvs.two', 600)}\n`);
      expect(await ca.issue(sampleOrder(), never)).toMatchObject({ kind: 'issued' });
      expect(vault.logins).toBe(0);
    });

    it('may be without an end', async () => {
      vault.addToken('hvs.static', 0);
      const ca = await open({ auth: { method: 'token', token: { env: 'TOKEN' } } });
      await ca.check(never);
      clock.advance(365 * 86_400_000);
      await ca.check(never);
      expect(vault.renewals).toBe(0);
    });

    it('that are wrong are an administrator’s matter, and stay secret', async () => {
      const ca = await open({ auth: { method: 'token', token: { env: 'TOKEN' } } });
      const error = await ca.issue(sampleOrder(), never).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: 'ca-misconfigured' });
      expect(String(error)).not.toContain('hvs.static');
    });
  });

  describe('orders', () => {
    it('go to the issuer and the template that are named', async () => {
      vault.roles.set('five-ghz', { keyType: 'any' });
      const ca = await open({ issuer: 'devices' });
      await ca.issue(sampleOrder({ template: 'five-ghz' }), never);
      const { path } = vault.server.received.at(-1) ?? {};
      expect(path).toBe('/v1/pki/issuer/devices/sign/five-ghz');
    });

    it('bring their names beside the CSR for a role that does not read them there', async () => {
      vault.roles.set('wifi', { keyType: 'any', useCsrSans: false, useCsrCommonName: false });
      const subjectAltNames = [
        { type: 'dns', value: 'device.example.org' },
        { type: 'email', value: 'someone@example.org' },
        { type: 'uri', value: 'urn:example:a,b' },
        { type: 'upn', value: 'someone@ad.example.org' },
      ] as const;
      const order = sampleOrder({ subjectAltNames });
      const certified = facts(await (await open({ names: 'request' })).issue(order, never));
      expect(certified.subjectAltNames).toEqual(subjectAltNames);
      expect(certified.subject).toEqual(order.wanted.subject);
    });

    it.each([
      ['ttl', 30],
      ['notAfter', 30],
      ['role', 1 / 24],
    ])('ask for their validity as %s', async (validity, expectedDays) => {
      const certified = facts(await (await open({ validity })).issue(sampleOrder(), never));
      const days = (certified.notAfter - Date.now()) / 86_400_000;
      expect(days).toBeCloseTo(expectedDays, 1);
    });

    it.each([
      ['a name', { allowedDomain: 'other.example' }, 'not allowed by this role'],
      ['a key', { keyType: 'rsa' as const }, 'role requires keys of type rsa'],
    ])('are rejected for %s that the role does not allow', async (_, role, reason) => {
      vault.roles.set('wifi', { keyType: 'any', ...role });
      expect(await (await open()).issue(sampleOrder(), never)).toEqual({
        kind: 'rejected',
        reason: expect.stringContaining(reason),
      });
    });

    it.each([
      ['the role does not exist', { role: 'wify' }, {}],
      ['the issuer does not exist', { issuer: 'nobody' }, {}],
      ['the mount does not exist', { mount: 'pky' }, {}],
      [
        'the role allows no URI at all',
        {},
        { subjectAltNames: [{ type: 'uri', value: 'urn:a' }] as const },
      ],
    ])('wait for an administrator when %s', async (_, given, asked) => {
      vault.roles.set('wifi', { keyType: 'any', allowsUris: false });
      const ca = await open(given);
      const order = sampleOrder(asked);
      await expect(ca.issue(order, never)).rejects.toMatchObject({ code: 'ca-misconfigured' });
    });

    const answers: [number, ServerAnswer, object][] = [
      [307, { status: 307, headers: { location: '/' } }, { code: 'ca-misconfigured' }],
      [405, { status: 405 }, { code: 'ca-misconfigured' }],
      [412, { status: 412 }, { code: 'ca-unavailable' }],
      [
        429,
        { status: 429, headers: { 'retry-after': '3' } },
        { code: 'ca-throttled', retryAfterMs: 3_000 },
      ],
      [472, { status: 472 }, { code: 'ca-unavailable' }],
      [473, { status: 473 }, { code: 'ca-unavailable' }],
      [500, { status: 500 }, { code: 'ca-unavailable' }],
      [502, { status: 502, body: '<html>' }, { code: 'ca-unavailable' }],
      [503, { status: 503 }, { code: 'ca-unavailable' }],
      [200, { status: 200, body: { data: {} } }, { code: 'ca-bad-answer' }],
    ];
    it.each(answers)('fail with %i as the documentation means it', async (_, answer, expected) => {
      const ca = await open();
      vault.server.misbehave(answer, signPath);
      await expect(ca.issue(sampleOrder(), never)).rejects.toMatchObject(expected);
    });
  });

  it.each([false, true])(
    'revokes, also what a role with no_store=%s left no record of',
    async (noStore) => {
      vault.roles.set('wifi', { keyType: 'any', noStore });
      const ca = await open();
      const answer = await ca.issue(sampleOrder(), never);
      if (answer.kind !== 'issued') throw new Error('not issued');
      await ca.revoke?.(answer.certificate, 'superseded', never);
      const serial = facts(answer).serialNumber.toLowerCase();
      expect([...vault.revoked].map((text) => text.replaceAll(':', ''))).toEqual([serial]);
    },
  );

  it('is not well while Vault is sealed, and says so', async () => {
    const ca = await open();
    await ca.check(never);
    vault.sealed = true;
    await expect(ca.check(never)).rejects.toMatchObject({
      code: 'ca-unavailable',
      message: expect.stringContaining('Vault is sealed'),
    });
  });

  it.each([
    ['no role for sign', { role: undefined }, ['role']],
    ['no token', { auth: { method: 'token' } }, ['auth', 'token']],
    ['no client certificate', { auth: { method: 'cert' } }, ['tls', 'certFile']],
    ['a token in the clear', { auth: { method: 'token', token: 'hvs.x' } }, ['auth', 'token']],
  ])('refuses options with %s', (_, given, path) => {
    const usual = { url: 'https://vault.example', role: 'wifi', auth: approle };
    const parsed = vaultPki.options.safeParse({ ...usual, ...given });
    expect(parsed.error?.issues.map((issue) => issue.path)).toEqual([path]);
  });
});
