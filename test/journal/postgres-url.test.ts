import type { PeerCertificate } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { JournalError } from '../../src/journal/journal.ts';
import { secureOptions } from '../../src/journal/postgres-tls.ts';
import { describePlace, readPostgresUrl, trustProblem } from '../../src/journal/postgres-url.ts';

const read = (url: string, env = {}) => readPostgresUrl(url, env);

describe('a connection string of PostgreSQL', () => {
  it.each([
    ['postgres://u:p@db/x', [['db', 5432]]],
    ['postgresql://u:p@db:6432/x?application_name=a', [['db', 6432]]],
    [
      'postgres://u:p@/x?host=/cloudsql/project:region:name',
      [['/cloudsql/project:region:name', 5432]],
    ],
    ['postgres://u:p@%2Fvar%2Frun%2Fpostgresql/x', [['/var/run/postgresql', 5432]]],
    ['postgres://u:p@[2001:db8::1]:5433/x', [['2001:db8::1', 5433]]],
    [
      'postgres://u:p@a:1,b,[::1]:3/x',
      [
        ['a', 1],
        ['b', 5432],
        ['::1', 3],
      ],
    ],
    [
      'postgres://u:p@/x?host=a,b&port=1,2',
      [
        ['a', 1],
        ['b', 2],
      ],
    ],
    [
      'postgres://u:p@/x?host=a,b&port=6432',
      [
        ['a', 6432],
        ['b', 6432],
      ],
    ],
    ['postgres://u:p@/x', [['localhost', 5432]]],
  ])('%s names its hosts', (url, hosts) => {
    const place = read(url);
    expect(place).toMatchObject({ user: 'u', password: 'p', database: 'x' });
    expect(place.hosts.map(({ host, port }) => [host, port])).toEqual(hosts);
  });

  it('has passwords of any characters, and takes from the environment what it does not say', () => {
    expect(read('postgres://u:a%40b%2Fc%@d@db/x').password).toBe('a@b/c%@d');
    expect(read('postgres://db/x?user=a&password=b')).toMatchObject({ user: 'a', password: 'b' });
    const env = { PGHOST: 'db', PGPORT: '6432', PGSSLMODE: 'require' };
    expect(read('postgres:///x', env)).toMatchObject({
      hosts: [{ host: 'db', port: 6432 }],
      tls: { kind: 'unverified' },
    });
  });

  it('reads the rest as libpq does: + is no space, the files of PGSSLMODE, lists in PGHOST', () => {
    expect(read(' postgres://db/x?password=a+b\n')).toMatchObject({ password: 'a+b' });
    const env = { PGHOST: 'a,b', PGSSLMODE: 'verify-ca', PGSSLROOTCERT: '/ca', PGSSLKEY: '/key' };
    expect(read('postgres:///x', env)).toMatchObject({
      hosts: [
        { host: 'a', port: 5432 },
        { host: 'b', port: 5432 },
      ],
      tls: { kind: 'verify-ca', rootFile: '/ca', keyFile: '/key' },
    });
    expect(trustProblem(read('postgres://LOCALHOST/x'))).toBeUndefined();
  });

  it('names an address beside the name in the certificate (hostaddr)', async () => {
    const place = read('postgres://db.example:6432/x?hostaddr=192.0.2.1&sslmode=verify-full');
    const [host] = place.hosts;
    expect(host).toEqual({ host: '192.0.2.1', port: 6432, certifiedAs: 'db.example' });
    expect(trustProblem(read('postgres://localhost/x?hostaddr=192.0.2.1'))).toMatch(/192.0.2.1/);
    if (host === undefined) throw new Error('There is no host.');
    const { servername, checkServerIdentity } = await secureOptions(place.tls, host);
    const certificateOf = (name: string) =>
      ({ subject: { CN: name }, subjectaltname: `DNS:${name}` }) as PeerCertificate;
    expect(servername).toBe('db.example');
    expect(checkServerIdentity?.('', certificateOf('db.example'))).toBeUndefined();
    expect(checkServerIdentity?.('', certificateOf('other.example'))).toBeInstanceOf(Error);
  });

  it.each([
    'mysql://u:SECRET@db/x',
    'SECRET',
    'postgres://u:SECRET@db:port/x',
    'postgres://u:SECRET@db:70000/x',
    'postgres://u:SECRET@db/x?sslmode=strict',
    'postgres://u:SECRET@db/x?sslmode=verify-ca',
    'postgres://u:SECRET@/x?host=a,b,c&port=1,2',
  ])('is refused without being repeated: %s', (url) => {
    expect(() => read(url)).toThrow(JournalError);
    expect(() => read(url)).not.toThrow(/SECRET/);
  });

  it.each([
    ['', 'none', /without TLS/],
    ['?sslmode=disable', 'none', /without TLS/],
    ['?sslmode=prefer', 'none', /without TLS/],
    ['?sslmode=require', 'unverified', /verify nothing, as in libpq/],
    ['?sslmode=no-verify', 'unverified', /verify nothing/],
    ['?sslmode=require&sslrootcert=ca.pem', 'verify-ca', undefined],
    ['?sslmode=verify-ca&sslrootcert=ca.pem', 'verify-ca', undefined],
    ['?sslmode=verify-full', 'verify-full', undefined],
    ['?sslmode=verify-full&sslrootcert=system', 'verify-full', undefined],
    ['?ssl=true', 'verify-full', undefined],
  ])('%j means what libpq means by it: %s', (query, kind, problem) => {
    const place = read(`postgres://u:p@db.example/x${query}`);
    expect(place.tls.kind).toBe(kind);
    if (problem === undefined) expect(trustProblem(place)).toBeUndefined();
    else expect(trustProblem(place)).toMatch(problem);
  });

  it('need not be sure of this machine itself, but of each other host', () => {
    for (const host of ['localhost', '127.0.0.1', '127.1.2.3', '[::1]', '%2Ftmp']) {
      expect(trustProblem(read(`postgres://u:p@${host}/x`))).toBeUndefined();
    }
    for (const host of ['localhost,db', '10.0.0.1', '[2001:db8::1]', 'localhost.example']) {
      expect(trustProblem(read(`postgres://u:p@${host}/x`))).toMatch(/without TLS/);
    }
  });

  it('is told without user and password', () => {
    expect(describePlace(read('postgres://u:SECRET@a:1,[::1],c/x'))).toBe(
      'postgres://a:1,[::1],c/x',
    );
  });
});
