import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { approvalIdOf } from '../../adapters/ejbca/certificates.ts';
import ejbca from '../../adapters/ejbca/ejbca.ts';
import type { CertificateAuthority } from '../../src/plug-in/certificate-authority.ts';
import { collectFrom } from '../support/collect-from.ts';
import { connectContext } from '../support/connect-context.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { sampleOrder } from '../support/sample-order.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { describeAdapter } from './contract.ts';
import { EjbcaServer } from './doubles/ejbca-server.ts';
import type { ServerAnswer } from './doubles/scripted-http-server.ts';
import { ejbcaHarness } from './ejbca-harness.ts';

describeAdapter('ejbca', ejbcaHarness);

const never = new AbortController().signal;
const isOrder = ({ path }: { path: string }) => path.endsWith('/pkcs10enroll');

describe('EJBCA', () => {
  let server: EjbcaServer;
  let home: Awaited<ReturnType<typeof temporaryDirectory>>;
  let clock: ManualClock;
  let opened: CertificateAuthority[];

  beforeEach(async () => {
    server = await EjbcaServer.start();
    home = await temporaryDirectory();
    clock = new ManualClock();
    server.tokens.add('static-token');
    await writeFile(join(home.path, 'token'), 'static-token\n');
    opened = [];
  });
  afterEach(async () => {
    for (const ca of opened) await ca[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });

  async function open(given: object = {}): Promise<CertificateAuthority> {
    const options = ejbca.options.parse({
      url: server.url,
      certificateAuthority: 'Wi-Fi CA',
      endEntityProfile: 'Chromebooks',
      certificateProfile: 'Wi-Fi',
      auth: { method: 'bearer', token: { file: 'token' } },
      ...given,
    });
    const context = connectContext(home.path, { clock, env: { CLIENT_SECRET: 'client-secret' } });
    const ca = await ejbca.connect(options, context, never);
    opened.push(ca);
    return ca;
  }

  describe('an order', () => {
    it.each([false, true])(
      'whose answer was lost gets the certificate that it got (encoded twice: %s)',
      async (encodesTwice) => {
        server.encodesTwice = encodesTwice;
        const order = sampleOrder();
        const first = await (await open()).issue(order, never);
        const again = await (await open()).issue(order, never);
        expect(again).toEqual(first);
        expect(server.issued).toHaveLength(1);
      },
    );

    it('is not answered with a certificate for another key', async () => {
      const ca = await open();
      const order = sampleOrder();
      await ca.issue({ ...sampleOrder(), requestId: order.requestId }, never);
      expect(await ca.issue(order, never)).toMatchObject({ kind: 'issued' });
      expect(server.issued).toHaveLength(2);
    });

    it('is placed anew when its certificate was revoked', async () => {
      const ca = await open();
      const order = sampleOrder();
      const first = await ca.issue(order, never);
      if (first.kind !== 'issued') throw new Error('not issued');
      await ca.revoke?.(first.certificate, 'keyCompromise', never);
      expect([...server.revoked.values()]).toEqual(['KEY_COMPROMISE']);
      expect(await ca.issue(order, never)).not.toEqual(first);
    });

    it('that was finalized although the answer was lost gets its certificate too', async () => {
      server.approvals.push('approve');
      const ca = await open();
      const order = sampleOrder();
      const pending = await ca.issue(order, never);
      const ticket = pending.kind === 'pending' ? pending.ticket : null;
      const first = await collectFrom(ca, ticket, order, never);
      expect(await collectFrom(ca, ticket, order, never)).toEqual(first);
    });

    it('waits for a search to find it where EJBCA does not tell its id', async () => {
      server.approvals.push('approve');
      server.tellsApprovalId = false;
      const ca = await open({ pollSeconds: 60 });
      const order = sampleOrder();
      const pending = await ca.issue(order, never);
      expect(pending).toMatchObject({ kind: 'pending', pollAfterMs: 60_000 });
      const ticket = pending.kind === 'pending' ? pending.ticket : null;
      expect(await collectFrom(ca, ticket, order, never)).toMatchObject({ kind: 'pending' });
    });

    it('waits longer where the server wants it so', async () => {
      const headers = { 'content-type': 'application/json', 'retry-after': '7200' };
      const body = '{"status_code":202,"info_message":"Wait.","request_id":7}';
      const ca = await open({ pollSeconds: 60 });
      server.server.misbehave({ status: 202, headers, body }, isOrder);
      const pending = await ca.issue(sampleOrder(), never);
      expect(pending).toMatchObject({ kind: 'pending', pollAfterMs: 7_200_000 });
    });

    it('names the template of the profile instead of the certificate profile', async () => {
      server.certificateProfiles.add('Five GHz');
      const ca = await open();
      await ca.issue(sampleOrder({ template: 'Five GHz' }), never);
      const sent = JSON.parse(server.server.received.find(isOrder)?.body ?? '{}');
      expect(sent).toMatchObject({ certificate_profile_name: 'Five GHz', include_chain: true });
    });

    it.each([
      ['the CA does not exist', { certificateAuthority: 'Other CA' }],
      ['the certificate profile does not exist', { certificateProfile: 'Nobody’s' }],
      ['no certificate profile is named', { certificateProfile: undefined }],
      ['the REST protocol is disabled', { path: '/elsewhere' }],
    ])(
      'waits for an administrator when %s',
      async (_, { path, ...given }: Record<string, unknown>) => {
        const url = path === undefined ? {} : { url: `${server.server.origin}${path}` };
        const ca = await open({ ...given, ...url });
        await expect(ca.issue(sampleOrder(), never)).rejects.toMatchObject({
          code: 'ca-misconfigured',
        });
      },
    );

    const refused = (status: number, error_message: string): ServerAnswer => ({
      status,
      body: { error_code: status, error_message },
    });
    const rejections: [ServerAnswer][] = [
      [refused(422, 'Subject Alternative Name UPN is not allowed')],
      [refused(400, 'User has another certificate with the same key')],
      [refused(409, 'Subject DN already exists for another user')],
    ];
    it.each(rejections)('is rejected by %j', async (answer) => {
      const ca = await open();
      server.server.misbehave(answer, isOrder);
      expect(await ca.issue(sampleOrder(), never)).toMatchObject({ kind: 'rejected' });
    });

    const failures: [ServerAnswer, string][] = [
      [refused(400, 'Invalid input. Incorrect response format'), 'ca-misconfigured'],
      [refused(403, 'Administrator is not authorized to resource /ca/1.'), 'ca-misconfigured'],
      [refused(422, 'End entity profile with id 3 does not allow the subject'), 'ca-misconfigured'],
      [refused(413, 'too large'), 'ca-misconfigured'],
      [{ status: 429 }, 'ca-throttled'],
      [refused(500, 'General failure'), 'ca-unavailable'],
      [refused(503, 'CA token is offline'), 'ca-unavailable'],
      [{ status: 201, body: { serial_number: '1' } }, 'ca-bad-answer'],
      [{ status: 201, body: 'OK' }, 'ca-bad-answer'],
      ['reset' as unknown as ServerAnswer, 'ca-unavailable'],
    ];
    it.each(failures)('waits after %j: %s', async (answer, code) => {
      const ca = await open();
      server.server.misbehave(answer, isOrder);
      await expect(ca.issue(sampleOrder(), never)).rejects.toMatchObject({ code });
    });

    it('is not placed at all when the search before it fails', async () => {
      const ca = await open();
      server.server.misbehave({ status: 500 }, ({ path }) => path.endsWith('/search'));
      await expect(ca.issue(sampleOrder(), never)).rejects.toMatchObject({
        code: 'ca-unavailable',
      });
      expect(server.server.received.filter(isOrder)).toEqual([]);
    });
  });

  describe('a token', () => {
    it('is fetched once for many calls, and again before it ends', async () => {
      server.clients.set('certprov', 'client-secret');
      const ca = await open({
        auth: {
          method: 'oauth',
          tokenUrl: `${server.server.origin}/oauth/token`,
          clientId: 'certprov',
          clientSecret: { env: 'CLIENT_SECRET' },
          scope: 'ejbca',
        },
      });
      const isLogin = ({ path }: { path: string }) => path === '/oauth/token';
      await Promise.all([ca.check(never), ca.check(never), ca.check(never)]);
      expect(server.server.received.filter(isLogin)).toHaveLength(1);
      expect(server.server.received.find(isLogin)?.body).toContain('scope=ejbca');
      clock.advance(550_000);
      await ca.check(never);
      expect(server.server.received.filter(isLogin)).toHaveLength(2);
    });

    it('is read anew from its file when EJBCA refuses it', async () => {
      const ca = await open();
      await ca.check(never);
      server.tokens.delete('static-token');
      server.tokens.add('next-token');
      await writeFile(join(home.path, 'token'), 'next-token');
      await ca.check(never);
    });

    it('that stays refused is an administrator’s matter, and stays secret', async () => {
      server.tokens.clear();
      const error = await (await open()).check(never).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: 'ca-misconfigured' });
      expect(String(error)).not.toContain(readFileSync(join(home.path, 'token'), 'utf8').trim());
    });

    it('that the provider refuses is one too', async () => {
      const auth = {
        method: 'oauth',
        tokenUrl: `${server.server.origin}/oauth/token`,
        clientId: 'certprov',
        clientSecret: { env: 'CLIENT_SECRET' },
      };
      const error = await (await open({ auth })).check(never).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: 'ca-misconfigured' });
      expect(String(error)).not.toContain('client-secret');
    });
  });

  it.each([
    [{ request_id: 12 }, '12'],
    [{ request_id: '-1204772534' }, '-1204772534'],
    [{ info_message: 'Waiting.', link: { href: 'https://x/v1/certificate/77/finalize' } }, '77'],
    [{ info_message: 'The request with ID 42 is waiting for approval' }, '42'],
    [{ info_message: 'Request is waiting for approval.' }, undefined],
    ['text', undefined],
  ])('reads the id of an approval from %j', (answer, expected) => {
    expect(approvalIdOf(answer)).toBe(expected);
  });

  it.each([
    ['no client certificate', { auth: undefined }, ['tls', 'certFile']],
    ['no token', { auth: { method: 'bearer' } }, ['auth', 'token']],
    [
      'no client secret',
      { auth: { method: 'oauth', tokenUrl: 'https://x.example', clientId: 'a' } },
      ['auth', 'clientSecret'],
    ],
  ])('refuses options with %s', (_, given, path) => {
    const usual = { url: 'https://x.example', certificateAuthority: 'a', endEntityProfile: 'b' };
    const parsed = ejbca.options.safeParse({ ...usual, ...given });
    expect(parsed.error?.issues.map((issue) => issue.path)).toEqual([path]);
  });
});
