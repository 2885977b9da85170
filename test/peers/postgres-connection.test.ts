import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../simulator/peers/free-port.ts';
import {
  findPostgres,
  howToGetPostgres,
  type PostgresServer,
  serverAccount,
  startPostgres,
} from '../../simulator/peers/postgres-server.ts';
import { openPostgresJournal } from '../../src/journal/postgres-journal.ts';
import { systemClock } from '../../src/time/clock.ts';
import { requirePeer } from '../support/peer.ts';

/*
 * Whom the journal speaks to: TLS with a CA of our own, client certificates, sockets, several hosts, PgBouncer.
 */

const there = await requirePeer(
  'PostgreSQL',
  async () => (await findPostgres()) !== undefined,
  howToGetPostgres,
);
const hasPgBouncer = await requirePeer(
  'PgBouncer',
  () => spawnSync('/usr/sbin/pgbouncer', ['--version']).status === 0,
  'apt-get install pgbouncer',
);
const { signal } = new AbortController();

describe.skipIf(!there)('PostgreSQL with TLS', () => {
  let server: PostgresServer;
  const at = (name: string) => join(server.directory, name);

  beforeAll(async () => {
    server = await startPostgres(prepareTls);
    const client = new Client({ connectionString: server.url() });
    await client.connect();
    await client.query('CREATE ROLE certified LOGIN SUPERUSER');
    await client.end();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  /** `opened`, or why it could not be. */
  async function outcome(url: string): Promise<string> {
    try {
      await using journal = await openPostgresJournal({ url, clock: systemClock });
      await journal.summary(signal);
      return 'opened';
    } catch (error) {
      return String(error);
    }
  }

  const url = (query: string, host = 'localhost') =>
    server
      .url()
      .replace('127.0.0.1', host)
      .concat(query === '' ? '' : `?${query}`);

  it('means by sslmode what libpq means', async () => {
    const ca = `sslrootcert=${at('ca.pem')}`;
    const other = `sslrootcert=${at('other.pem')}`;
    const cases: [string, string, RegExp][] = [
      ['sslmode=disable', 'localhost', /^opened/],
      ['sslmode=require', 'localhost', /^opened/],
      [`sslmode=require&${other}`, 'localhost', /CA that is not trusted.*sslrootcert/],
      [`sslmode=verify-ca&${ca}`, '127.0.0.1', /^opened/],
      [`sslmode=verify-full&${ca}`, 'localhost', /^opened/],
      [`sslmode=verify-full&${ca}`, '127.0.0.1', /certificate is for another name/],
      [`sslmode=verify-full&${other}`, 'localhost', /CA that is not trusted/],
      ['sslmode=verify-full', 'localhost', /CA that is not trusted/],
      [
        `sslmode=verify-full&sslrootcert=${at('none.pem')}`,
        'localhost',
        /none\.pem cannot be used/,
      ],
    ];
    for (const [query, host, expected] of cases) {
      expect(await outcome(url(query, host)), `${host} ${query}`).toMatch(expected);
    }
  });

  it('is shown the client certificate', async () => {
    const asCertified = server.url({ user: 'certified' }).replace('127.0.0.1', 'localhost');
    const query = `?sslmode=verify-full&sslrootcert=${at('ca.pem')}`;
    expect(await outcome(asCertified + query)).toMatch(/valid client certificate/);
    const pair = `&sslcert=${at('client.pem')}&sslkey=${at('client.key')}`;
    expect(await outcome(asCertified + query + pair)).toBe('opened');
  });

  it('is reached by its socket, and as the one of several hosts that can be written to', async () => {
    const login = `test:${encodeURIComponent(server.password)}`;
    const bySocket = `postgres://${login}@/postgres?host=${server.directory}&port=${server.port}`;
    expect(await outcome(bySocket)).toBe('opened');
    const closed = await freePort();
    const one = `postgres://${login}@127.0.0.1:${closed},localhost:${server.port}/postgres`;
    expect(await outcome(one)).toBe('opened');
    const none = `postgres://${login}@127.0.0.1:${closed},localhost:${closed}/postgres`;
    expect(await outcome(none)).toMatch(/None of its hosts .*ECONNREFUSED/);
  });

  it.skipIf(!hasPgBouncer)('works behind PgBouncer in session mode', async () => {
    await using bouncer = await startPgBouncer(server);
    const behind = server.url().replace(`:${server.port}/`, `:${bouncer.port}/`);
    expect(await outcome(behind)).toBe('opened');
  });
});

function prepareTls(directory: string): string[] {
  const at = (name: string) => join(directory, name);
  const openssl = (...words: string[]) => execFileSync('openssl', words, { stdio: 'ignore' });
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc'];
  for (const name of ['ca', 'other']) {
    const files = ['-keyout', at(`${name}.key`), '-out', at(`${name}.pem`)];
    openssl('req', '-x509', ...ec, ...files, '-subj', `/CN=${name}`);
  }
  const pairs = [
    ['server', 'localhost', 'subjectAltName=DNS:localhost'],
    ['client', 'certified', 'extendedKeyUsage=clientAuth'],
  ] as const;
  for (const [name, subject, extension] of pairs) {
    const signer = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-addext', extension];
    const files = ['-keyout', at(`${name}.key`), '-out', at(`${name}.pem`)];
    openssl('req', '-x509', ...ec, ...files, '-subj', `/CN=${subject}`, ...signer);
  }
  writeFileSync(
    at('data/pg_hba.conf'),
    [
      'local all all scram-sha-256',
      'hostssl all certified all cert',
      'host all all all scram-sha-256',
      '',
    ].join('\n'),
  );
  return [
    'ssl=on',
    `ssl_cert_file=${at('server.pem')}`,
    `ssl_key_file=${at('server.key')}`,
    `ssl_ca_file=${at('ca.pem')}`,
  ];
}

async function startPgBouncer(
  server: PostgresServer,
): Promise<AsyncDisposable & { readonly port: number }> {
  const port = await freePort();
  const at = (name: string) => join(server.directory, name);
  writeFileSync(at('users.txt'), `"test" "${server.password}"\n`, { mode: 0o644 });
  writeFileSync(
    at('bouncer.ini'),
    [
      '[databases]',
      `* = host=127.0.0.1 port=${server.port}`,
      '[pgbouncer]',
      'listen_addr = 127.0.0.1',
      `listen_port = ${port}`,
      'auth_type = scram-sha-256',
      `auth_file = ${at('users.txt')}`,
      'pool_mode = session',
      'unix_socket_dir =',
      '',
    ].join('\n'),
  );
  const child = spawn('/usr/sbin/pgbouncer', [at('bouncer.ini')], {
    stdio: 'ignore',
    ...serverAccount(),
  });
  await untilListening(port, child);
  return {
    port,
    async [Symbol.asyncDispose]() {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    },
  };
}

async function untilListening(port: number, child: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    if (child.exitCode !== null) throw new Error(`PgBouncer ended with ${child.exitCode}.`);
    const socket = connect({ host: '127.0.0.1', port });
    try {
      await once(socket, 'connect');
      return;
    } catch {
      await sleep(50);
    } finally {
      socket.destroy();
    }
  }
  throw new Error('PgBouncer does not listen.');
}
