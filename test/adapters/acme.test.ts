import { readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import acme from '../../adapters/acme/acme.ts';
import { certifiableNames, dnsNamesOf } from '../../adapters/acme/identifiers.ts';
import { dnsSolver } from '../../adapters/acme/solver.ts';
import { CommandRunner } from '../../adapters/shared/run-command.ts';
import { collected, newOrder } from '../../conformance/order.ts';
import { freePort } from '../../simulator/peers/free-port.ts';
import type { CertificateAuthority, Collected } from '../../src/plug-in/certificate-authority.ts';
import { systemClock } from '../../src/time/clock.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { collectFrom } from '../support/collect-from.ts';
import { connectContext } from '../support/connect-context.ts';
import { acmeHarness } from './acme-harness.ts';
import { describeAdapter } from './contract.ts';
import { AcmeDouble } from './doubles/acme-double.ts';
import type { Reply } from './doubles/signing-server.ts';

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

const connectionError = {
  type: 'urn:ietf:params:acme:error:connection',
  detail: 'no route to you',
};

function rewritten(reply: Reply, changed: object): Reply {
  return typeof reply.body === 'object' ? { ...reply, body: { ...reply.body, ...changed } } : reply;
}

function ticketOf(answer: Collected) {
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

  it('takes the exit of the command of dns-01 for its end, whatever it leaves running', async () => {
    await using runner = new CommandRunner(systemClock);
    const command = { program: 'sh', arguments: ['-c', 'sleep 60 & exit 0'], directory: '/' };
    const environment = { PATH: process.env['PATH'] ?? '' };
    const solver = dnsSolver({ ...command, environment, timeoutMs: 5_000 }, runner);
    const challenge = { name: 'a.example.org', token: 'token', answer: 'answer' };
    await using _shown = await solver.present(challenge, never);
  });

  it('says what is missing when a name is not authorised and no challenge is set', async () => {
    await using double = await AcmeDouble.start();
    const { authority, context } = await setUp(double);
    const order = await newOrder(context, 'ec');
    const ticket = ticketOf(await authority.issue(order, never));
    await expect(collectFrom(authority, ticket, order, never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringMatching(/contract\.example\.org.*http-01, dns-01/),
    });
  });

  it('tells why a challenge failed, and then makes a new order, later and later', async () => {
    await using double = await AcmeDouble.start({ httpPort: 9 });
    const port = await freePort();
    const { authority, context } = await setUp(double, { challenge: { type: 'http-01', port } });
    const order = await newOrder(context, 'ec');
    let ticket = ticketOf(await authority.issue(order, never));
    for (const retryAfterMs of [30_000, 60_000]) {
      await expect(collectFrom(authority, ticket, order, never)).rejects.toMatchObject({
        code: 'ca-misconfigured',
        message: expect.stringMatching(
          /contract\.example\.org failed http-01 .*the answer was not there/,
        ),
        retryAfterMs,
      });
      const next = ticketOf(await collectFrom(authority, ticket, order, never));
      expect(next).not.toEqual(ticket);
      ticket = next;
    }
  });

  it.each([
    [
      'an authorization that is invalid, in an order that stays pending',
      { orders: { status: 'pending' }, authz: { status: 'invalid' } },
      /authorization of contract\.example\.org is invalid/,
    ],
    [
      'a challenge that the server goes on trying',
      {
        authz: {
          challenges: [
            {
              type: 'http-01',
              url: 'http://127.0.0.1/1',
              token: 'token',
              status: 'processing',
              error: connectionError,
            },
          ],
        },
      },
      /waits for http-01, which is processing \(connection: no route to you\)/,
    ],
    [
      'a challenge that nobody looks at',
      {
        authz: {
          challenges: [
            { type: 'http-01', url: 'http://127.0.0.1/1', token: 'token', status: 'processing' },
          ],
        },
      },
      /waits for http-01, which is processing/,
    ],
    [
      'an order that stays ready',
      { orders: { status: 'ready' }, finalize: { status: 'ready' } },
      /it was finalized, and is ready/,
    ],
    [
      'an order whose names are all authorised and that stays pending',
      { orders: { status: 'pending' }, authz: { status: 'valid' } },
      /is pending nevertheless/,
    ],
  ])(
    'tells at once of %s, and once only',
    async (_what, changed: Record<string, object>, message) => {
      const isReady = 'finalize' in changed;
      await using double = await AcmeDouble.start({ preauthorised: isReady });
      const challenge = { type: 'http-01', port: await freePort() };
      const { authority, context } = await setUp(double, { challenge, waitSeconds: 0 });
      double.rewrite = (path, reply) => rewritten(reply, changed[path.split('/')[1] ?? ''] ?? {});
      const order = await newOrder(context, 'ec');
      const ticket = ticketOf(await authority.issue(order, never));
      const problem = { code: 'ca-misconfigured', message: expect.stringMatching(message) };
      await expect(collectFrom(authority, ticket, order, never)).rejects.toMatchObject(problem);
      expect(await collectFrom(authority, ticket, order, never)).toMatchObject({ kind: 'pending' });
    },
  );

  it('tells of an order that waits, and then of its end, before it makes another', async () => {
    await using double = await AcmeDouble.start({ httpPort: 9 });
    const challenge = { type: 'http-01', port: await freePort() };
    const { authority, context } = await setUp(double, { challenge, waitSeconds: 0 });
    const order = await newOrder(context, 'ec');
    const ticket = ticketOf(await authority.issue(order, never));
    const look = () => collectFrom(authority, ticket, order, never);
    await expect(look()).rejects.toMatchObject({ message: expect.stringContaining('waits for') });
    await expect(look()).rejects.toMatchObject({
      message: expect.stringContaining('the answer was not there'),
      retryAfterMs: 30_000,
    });
    expect(ticketOf(await look())).not.toEqual(ticket);
  });

  it('finalizes an order that stays ready once in a look, and looks ever more rarely', async () => {
    await using double = await AcmeDouble.start({ preauthorised: true });
    const { authority, context } = await setUp(double, { waitSeconds: 0.5, pollSeconds: 5 });
    double.rewrite = (path, reply) =>
      /^\/(orders|finalize)\//.test(path) ? rewritten(reply, { status: 'ready' }) : reply;
    const order = await newOrder(context, 'ec');
    let ticket = ticketOf(await authority.issue(order, never));
    await expect(collectFrom(authority, ticket, order, never)).rejects.toThrow('ready');
    const sent = () => double.server.calls.filter((call) => call.startsWith('POST /finalize'));
    expect(sent()).toHaveLength(1);
    const pauses: number[] = [];
    const patient = await setUp(double, { waitSeconds: 0, pollSeconds: 5 });
    for (let look = 0; look < 8; look++) {
      const answer = await collectFrom(patient.authority, ticket, order, never);
      if (answer.kind !== 'pending') throw new Error(answer.kind);
      pauses.push(answer.pollAfterMs / 1_000);
      ticket = answer.ticket;
    }
    expect(pauses).toEqual([5, 10, 20, 40, 80, 160, 300, 300]);
  });

  it.each(['orders', 'finalize'])(
    'leaves a processing order alone for as long as /%s asks',
    async (where) => {
      await using double = await AcmeDouble.start({ preauthorised: true });
      double.processingLooks = 100;
      const { authority, context } = await setUp(double, { waitSeconds: 60 });
      double.rewrite = (path, reply) =>
        path.startsWith(`/${where}/`) ? { ...reply, headers: { 'retry-after': '120' } } : reply;
      const order = await newOrder(context, 'ec');
      const ticket = ticketOf(await authority.issue(order, never));
      double.server.calls.length = 0;
      const first = await collectFrom(authority, ticket, order, never);
      expect(first).toMatchObject({ kind: 'pending', pollAfterMs: 120_000 });
      expect(double.server.calls.filter((call) => /orders|finalize/.test(call))).toHaveLength(
        where === 'orders' ? 3 : 2,
      );
    },
  );

  it('gets a new account and a new order from a server that lost its accounts', async () => {
    await using double = await AcmeDouble.start({ preauthorised: true });
    const { authority, context } = await setUp(double);
    const [pending, order] = [await newOrder(context, 'ec'), await newOrder(context, 'ec')];
    const ticket = ticketOf(await authority.issue(pending, never));
    double.forget();
    expect((await issue(authority, order)).kind).toBe('issued');
    expect(await collectFrom(authority, ticket, pending, never)).toMatchObject({ kind: 'lost' });
    expect(double.orders.size).toBe(1);
    expect((await issue(authority, { ...pending, requestId: 'f'.repeat(32) })).kind).toBe('issued');
    // A server that goes on like that needs its operator.
    double.forget();
    const body = { type: 'urn:ietf:params:acme:error:accountDoesNotExist', detail: 'never heard' };
    for (const _again of [1, 2]) double.server.misspeak(/^\/order$/, { status: 400, body });
    await expect(authority.issue(await newOrder(context, 'ec'), never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringContaining('never heard'),
    });
  });

  it.each([
    ['does not know it', 404, { type: 'urn:ietf:params:acme:error:malformed' }, true],
    ['gives it to another account', 403, { type: 'urn:ietf:params:acme:error:unauthorized' }, true],
    ['is not who answers', 404, '<html>Not here</html>', false],
  ])('tells the order lost where the server %s (%i)', async (_how, status, body, isLost) => {
    await using double = await AcmeDouble.start({ preauthorised: true });
    const { authority, context } = await setUp(double);
    const order = await newOrder(context, 'ec');
    const ticket = ticketOf(await authority.issue(order, never));
    const orders = [...double.orders];
    double.forget();
    for (const [id, each] of orders) double.orders.set(id, each);
    // The account is opened anew, by another order, before this one is looked at.
    await authority.issue(await newOrder(context, 'ec'), never);
    double.server.misspeak(/^\/orders/, { status, body });
    const look = collectFrom(authority, ticket, order, never);
    if (isLost) expect(await look).toMatchObject({ kind: 'lost' });
    else await expect(look).rejects.toMatchObject({ code: 'ca-misconfigured' });
  });

  it('keeps its hands off an order of another instance’s account', async () => {
    await using double = await AcmeDouble.start({ preauthorised: true });
    const { authority, context } = await setUp(double);
    const order = await newOrder(context, 'ec');
    const ticket = ticketOf(await authority.issue(order, never));
    const elsewhere = await setUp(double, { directory: './another' });
    await expect(collectFrom(elsewhere.authority, ticket, order, never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringContaining('must share this authority’s directory'),
    });
    expect(double.orders.size).toBe(1);
  });

  it('orders anew at another server, and sends the first one’s URLs nowhere', async () => {
    await using old = await AcmeDouble.start({ preauthorised: true });
    await using double = await AcmeDouble.start({ preauthorised: true });
    const first = await setUp(old);
    const order = await newOrder(first.context, 'ec');
    const ticket = ticketOf(await first.authority.issue(order, never));
    old.server.calls.length = 0;
    const { authority } = await setUp(double);
    expect(await collectFrom(authority, ticket, order, never)).toMatchObject({ kind: 'lost' });
    expect((await issue(authority, order)).kind).toBe('issued');
    expect(old.server.calls).toEqual([]);
  });

  it.each([
    ['/directory', 'newNonce'],
    ['/directory', 'newAccount'],
    ['/directory', 'newOrder'],
    ['/directory', 'revokeCert'],
    ['/account', 'location'],
    ['/order', 'location'],
    ['/orders/', 'authorizations'],
    ['/orders/', 'finalize'],
    ['/authz/', 'challenges'],
    ['/orders/', 'certificate'],
  ])('sends nothing to another server, although %s names it as %s', async (where, what) => {
    await using double = await AcmeDouble.start({
      preauthorised: where !== '/authz/' && what !== 'authorizations',
    });
    await using other = await AcmeDouble.start();
    const challenge = { type: 'http-01', port: await freePort() };
    const { authority, context } = await setUp(double, { challenge });
    const bad = `${other.server.url}/stolen`;
    const value =
      what === 'authorizations'
        ? [bad]
        : what === 'challenges'
          ? [{ type: 'http-01', url: bad, token: 'token' }]
          : bad;
    double.rewrite = (path, reply) => {
      if (!path.startsWith(where)) return reply;
      if (what === 'location') return { ...reply, headers: { ...reply.headers, location: bad } };
      return rewritten(reply, { [what]: value });
    };
    const order = await newOrder(context, 'ec');
    await expect(issue(authority, order)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringContaining(`${other.server.url}. Nothing is sent there.`),
    });
    expect(other.server.calls).toEqual([]);
  });

  it('leaves out of the CSR what no ACME CA certifies, and keeps a common name that is a host name', () => {
    const dns = { type: 'dns', value: 'a.example.org' } as const;
    const name = (value: string) => [{ type: '2.5.4.3', value }];
    const names = {
      subject: [
        [{ type: '2.5.4.10', value: 'Example' }],
        name('Device 5CD1234'),
        name('b.example.org'),
      ],
      subjectAltNames: [
        dns,
        { type: 'email', value: 'a@example.org' } as const,
        { type: 'uri', value: 'urn:a' } as const,
      ],
    };
    expect(certifiableNames(names)).toEqual({
      subject: [name('b.example.org')],
      subjectAltNames: [dns],
    });
    expect(dnsNamesOf(names)).toEqual(['b.example.org', 'a.example.org']);
  });

  it.each([
    ['CN=${DEVICE_SERIAL_NUMBER}', [], false, 'this profile has none'],
    [
      'CN=${USER_EMAIL}',
      [{ type: 'email', value: '${USER_EMAIL}' }],
      false,
      'this profile has none',
    ],
    ['CN=a', [{ type: 'dns', value: '${DEVICE_SERIAL_NUMBER}.example.org' }], true, 'no SID'],
    ['CN=a', [{ type: 'dns', value: '${DEVICE_SERIAL_NUMBER}.example.org' }], false, undefined],
    ['CN=${DEVICE_SERIAL_NUMBER}.example.org', [], false, undefined],
    ['CN=${USER_EMAIL_DOMAIN}', [], false, undefined],
  ] as const)(
    'says of a profile with %s whether it can be certified',
    (subject, subjectAltNames, sid, problem) => {
      const said = acme.profileProblem?.({ subject, subjectAltNames, sid });
      if (problem === undefined) expect(said).toBeUndefined();
      else expect(said).toContain(problem);
    },
  );

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
    const first = await collectFrom(authority, ticket, order, never); // Lost, too.
    const again = await collectFrom(await connect(), ticket, order, never);
    expect(again).toEqual(first);
    expect(double.certificates).toBe(1);
  });

  it('holds orders while its directory is gone, and removes what a crash left half written', async () => {
    await using double = await AcmeDouble.start({ preauthorised: true });
    const { authority, connect, context } = await setUp(double);
    const directory = join(double.server.directory, 'account');
    await writeFile(join(directory, 'left.new'), '');
    await utimes(join(directory, 'left.new'), 1, 1);
    await connect();
    expect(await readdir(directory)).not.toContain('left.new');
    await rm(directory, { recursive: true });
    await expect(authority.issue(await newOrder(context, 'ec'), never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringContaining(`${directory} cannot be used`),
    });
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
    // Its check finds out without an order, and does not ask again at once.
    await expect(authority.check(never)).rejects.toMatchObject({ code: 'ca-misconfigured' });
    double.server.calls.length = 0;
    await expect(authority.check(never)).rejects.toThrow('externalAccountRequired');
    expect(double.server.calls).toEqual(['GET /directory']);
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

  it.each([400, 403, 404, 407, 413, 422, 451, 502])(
    'takes a page of HTML with %i for nobody’s decision',
    async (status) => {
      await using double = await AcmeDouble.start({ preauthorised: true });
      const { authority, context } = await setUp(double);
      const order = await newOrder(context, 'ec');
      const first = await authority.issue(order, never);
      const headers = { 'content-type': 'text/html', server: 'nginx' };
      const body = `<html><head><title>${status} of the proxy</title></head></html>`;
      for (const path of [/^\/orders/, /^\/finalize/]) {
        double.server.misspeak(path, { status, headers, body });
        await expect(collectFrom(authority, ticketOf(first), order, never)).rejects.toMatchObject({
          disposition: 'hold',
          message: expect.stringContaining('of the proxy'),
        });
      }
      expect((await collected(authority, order, first)).kind).toBe('issued');
      expect(double.orders.size).toBe(1);
    },
  );

  it('looks for a missing certificate again, and orders no other', async () => {
    await using double = await AcmeDouble.start({ preauthorised: true });
    const { authority, context } = await setUp(double);
    const order = await newOrder(context, 'ec');
    const first = await authority.issue(order, never);
    const body = { type: 'urn:ietf:params:acme:error:malformed', detail: 'not yet' };
    double.server.misspeak(/^\/cert/, { status: 404, body });
    await expect(collected(authority, order, first)).rejects.toMatchObject({ disposition: 'hold' });
    expect((await collected(authority, order, first)).kind).toBe('issued');
    expect(double.orders.size).toBe(1);
  });

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
