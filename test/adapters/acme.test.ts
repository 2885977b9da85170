import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import acme from '../../adapters/acme.ts';
import { freePort } from '../../simulator/peers/free-port.ts';
import { collected, newOrder } from '../../src/conformance/order.ts';
import type { CertificateAuthority, Issuance } from '../../src/issue/certificate-authority.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { acmeHarness } from './acme-harness.ts';
import { connectContext } from './connect-context.ts';
import { describeAdapter } from './contract.ts';
import { AcmeDouble } from './doubles/acme-double.ts';

const never = new AbortController().signal;

describeAdapter('acme (double)', acmeHarness);

async function setUp(double: AcmeDouble, more: Record<string, unknown> = {}) {
  const context = connectContext(double.server.directory, { env: { HMAC: 'c2VjcmV0LWhtYWM' } });
  const given = {
    directoryUrl: double.directoryUrl,
    directory: './account',
    termsOfServiceAgreed: true,
    ...more,
  };
  const connect = () => acme.connect(acme.options.parse(given), context, never);
  const authority = await connect();
  const harness = double.server.harness({
    connect,
    hooks: {} as never,
    secrets: [],
    validityAsAsked: true,
  });
  return { authority, connect, context: { authority, harness, connect } };
}

function ticketOf(answer: Issuance) {
  if (answer.kind !== 'pending') throw new Error(answer.kind);
  return answer.ticket;
}

async function issue(authority: CertificateAuthority, order: Awaited<ReturnType<typeof newOrder>>) {
  return collected(authority, order, await authority.issue(order, never));
}

describe('acme', () => {
  it('shows http-01 on a listener of its own, which is gone afterwards', async () => {
    const port = await freePort();
    await using double = await AcmeDouble.start({ httpPort: port });
    const { authority, context } = await setUp(double, { challenge: { type: 'http-01', port } });
    await using _closed = authority;
    const order = await newOrder(context, 'ec');
    expect((await issue(authority, order)).kind).toBe('issued');
    await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow();
  });

  it('shows dns-01 by a command, and takes the record back', async () => {
    await using double = await AcmeDouble.start();
    const { directory } = double.server;
    const hook = join(import.meta.dirname, 'commands/dns-hook.mjs');
    const command = [process.execPath, hook, directory];
    const { authority, context } = await setUp(double, { challenge: { type: 'dns-01', command } });
    await using _closed = authority;
    const order = await newOrder(context, 'rsa', {
      subject: [],
      subjectAltNames: [
        { type: 'dns', value: 'a.example.org' },
        { type: 'dns', value: 'b.example.org' },
        { type: 'email', value: 'lost@example.org' },
      ],
    });
    const answer = await issue(authority, order);
    if (answer.kind !== 'issued') throw new Error(answer.kind);
    expect(readCertificate(answer.certificate).subjectAltNames.map(({ value }) => value)).toEqual([
      'a.example.org',
      'b.example.org',
    ]);
    expect((await readdir(directory)).filter((name) => name.startsWith('_acme'))).toEqual([]);
  });

  it('says what is missing when a name is not authorised and no challenge is set', async () => {
    await using double = await AcmeDouble.start();
    const { authority, context } = await setUp(double);
    const order = await newOrder(context, 'ec');
    const ticket = ticketOf(await authority.issue(order, never));
    await expect(authority.collect(ticket, order, never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringMatching(/contract\.example\.org.*http-01, dns-01/),
    });
  });

  it('makes a new order after one whose challenge failed, later and later', async () => {
    await using double = await AcmeDouble.start({ httpPort: 9 });
    const port = await freePort();
    const { authority, context } = await setUp(double, { challenge: { type: 'http-01', port } });
    const order = await newOrder(context, 'ec');
    const first = ticketOf(await authority.issue(order, never));
    const second = await authority.collect(first, order, never);
    expect(second).toMatchObject({ kind: 'pending', pollAfterMs: 30_000 });
    expect(ticketOf(second)).not.toEqual(first);
    const third = await authority.collect(ticketOf(second), order, never);
    expect(third).toMatchObject({ kind: 'pending', pollAfterMs: 60_000 });
  });

  it('gets one certificate when it crashes at any point, also without the order’s file', async () => {
    await using double = await AcmeDouble.start({ preauthorised: true });
    const { authority, connect, context } = await setUp(double);
    const order = await newOrder(context, 'ec');
    await authority.issue(order, never); // Its answer is lost.
    const elsewhere = await setUp(double, { directory: './another' });
    const ticket = ticketOf(await (await connect()).issue(order, never));
    expect(double.orders.size).toBe(1);
    await elsewhere.authority.issue(order, never); // Without the file there is a second order, and no more.
    expect(double.orders.size).toBe(2);
    const first = await authority.collect(ticket, order, never); // Lost, too.
    const again = await (await connect()).collect(ticket, order, never);
    expect(again).toEqual(first);
    expect(double.certificates).toBe(1);
  });

  it('keeps its key to itself and its account for ever', async () => {
    await using double = await AcmeDouble.start({ preauthorised: true });
    const { authority, connect, context } = await setUp(double);
    await issue(authority, await newOrder(context, 'ec'));
    await issue(await connect(), await newOrder(context, 'ec'));
    expect(double.accounts.size).toBe(1);
    const { mode } = await stat(join(double.server.directory, 'account/account.pem'));
    expect(mode & 0o777).toBe(0o600);
  });

  it('goes on when nonces are refused, and gives up on a server that refuses all', async () => {
    await using double = await AcmeDouble.start({ preauthorised: true });
    const { authority, context } = await setUp(double);
    const order = await newOrder(context, 'ec');
    double.nonceRefusals = 3;
    expect((await issue(authority, order)).kind).toBe('issued');
    double.nonceRefusals = 100;
    const next = await newOrder(context, 'ec');
    await expect(authority.issue(next, never)).rejects.toMatchObject({ code: 'ca-unavailable' });
  });

  it('says that the CA wants an external account, or another key for it', async () => {
    const externalAccount = { kid: 'kid-1', hmacKey: 'YW5vdGhlci1rZXk' };
    await using double = await AcmeDouble.start({ preauthorised: true, externalAccount });
    const { authority, context } = await setUp(double);
    const order = await newOrder(context, 'ec');
    await expect(authority.issue(order, never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringContaining('externalAccountRequired'),
    });
    const wrong = { externalAccount: { keyId: 'kid-1', hmacKey: { env: 'HMAC' } } };
    const other = await setUp(double, wrong);
    await expect(other.authority.issue(order, never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.not.stringContaining('c2VjcmV0'),
    });
  });

  it('rejects a request without a DNS name before it asks anybody', async () => {
    await using double = await AcmeDouble.start();
    const { authority, context } = await setUp(double);
    const order = await newOrder(context, 'ec', {
      subject: [[{ type: '2.5.4.3', value: 'device 5CD1234' }]],
      subjectAltNames: [{ type: 'email', value: 'someone@example.org' }],
    });
    expect((await authority.issue(order, never)).kind).toBe('rejected');
    expect(double.server.calls).toEqual([]);
  });

  it.each([
    ['rateLimited', 429, 'ca-throttled'],
    ['unauthorized', 403, 'ca-misconfigured'],
    ['accountDoesNotExist', 400, 'ca-misconfigured'],
    ['userActionRequired', 403, 'ca-misconfigured'],
    ['malformed', 400, 'ca-misconfigured'],
    ['serverInternal', 500, 'ca-unavailable'],
    ['dns', 400, 'ca-unavailable'],
    ['connection', 400, 'ca-unavailable'],
  ])('says who must act on %s (%i): %s', async (type, status, code) => {
    await using double = await AcmeDouble.start({ preauthorised: true });
    const { authority, context } = await setUp(double);
    const order = await newOrder(context, 'ec');
    const body = { type: `urn:ietf:params:acme:error:${type}`, detail: 'as it happens' };
    const headers = { 'retry-after': '7' };
    double.server.misspeak(/^\/order$/, { status, headers, body });
    await expect(authority.issue(order, never)).rejects.toMatchObject({
      code,
      retryAfterMs: 7_000,
      message: expect.stringContaining('as it happens'),
    });
  });

  it.each(['badCSR', 'rejectedIdentifier', 'unsupportedIdentifier', 'caa', 'badPublicKey'])(
    'takes %s for a decision',
    async (type) => {
      await using double = await AcmeDouble.start({ preauthorised: true });
      const { authority, context } = await setUp(double);
      const order = await newOrder(context, 'ec');
      const body = { type: `urn:ietf:params:acme:error:${type}`, detail: 'no' };
      double.server.misspeak(/^\/finalize/, { status: 400, body });
      expect((await issue(authority, order)).kind).toBe('rejected');
    },
  );

  it('calls a certificate that is none, and a directory that is none, by their names', async () => {
    await using double = await AcmeDouble.start({ preauthorised: true });
    const { authority, context } = await setUp(double);
    const order = await newOrder(context, 'ec');
    double.server.misspeak(/^\/cert/, { status: 200, body: 'no PEM' });
    await expect(issue(authority, order)).rejects.toMatchObject({ code: 'ca-bad-answer' });
    expect((await issue(authority, order)).kind).toBe('issued');
    expect(double.certificates).toBe(1);
    double.server.misspeak(/^\/directory/, { status: 200, body: '<html>' });
    await expect(authority.check(never)).rejects.toMatchObject({ code: 'ca-bad-answer' });
  });
});
