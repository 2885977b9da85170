import { isIP } from 'node:net';
import { isLoopback } from '../network/host.ts';
import { JournalError } from './journal.ts';

/*
 * Where the database is and how it is spoken to, from a connection string as libpq knows it (PostgreSQL's manual,
 * 34.1.1.2). The driver's own reading is not used: it takes no list of hosts, and its sslmode means something else.
 */

export interface PostgresHost {
  /** A name, an address, or the directory of a Unix socket. */
  readonly host: string;
  readonly port: number;
  /** Whose certificate it shows, where `host` is the address that the string names beside it (hostaddr). */
  readonly certifiedAs?: string;
}

/** `unverified`: encrypted, but to whoever answers. Files are paths. */
export type PostgresTls =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'unverified' | 'verify-ca' | 'verify-full';
      readonly rootFile: string | undefined;
      readonly certificateFile: string | undefined;
      readonly keyFile: string | undefined;
    };

export interface PostgresPlace {
  readonly hosts: readonly PostgresHost[];
  readonly user: string | undefined;
  /** Or what gives the present one. */
  readonly password: string | (() => Promise<string>) | undefined;
  readonly database: string | undefined;
  readonly tls: PostgresTls;
  /** `options` of the connection string: what psql hands to the server as it is. */
  readonly options: string | undefined;
}

type Env = Readonly<Record<string, string | undefined>>;

const form =
  /^postgres(?:ql)?:\/\/(?:(?<login>[^/?#]*)@)?(?<hosts>[^@/?#]*)(?:\/(?<database>[^?#]*))?(?:\?(?<query>[^#]*))?$/i;

/**
 * @param env `PGHOST`, `PGPORT`, `PGSSLMODE` and its files `PGSSLROOTCERT`, `PGSSLCERT` and `PGSSLKEY` count where the
 * string says nothing.
 * @throws {JournalError} which repeats nothing of the string.
 */
export function readPostgresUrl(url: string, env: Env = process.env): PostgresPlace {
  const {
    login,
    hosts = '',
    database = '',
    query = '',
  } = form.exec(url.trim())?.groups ?? notUrl();
  // For libpq + is no space.
  const given = new URLSearchParams(query.replaceAll('+', '%2B'));
  // An empty parameter says nothing.
  const parameter = (name: string) => given.get(name) || undefined;
  const [, user, password] = /^([^:]*)(?::(.*))?$/s.exec(login ?? '') ?? [];
  return {
    hosts: hostsOf(hosts, parameter, env),
    user: parameter('user') ?? decoded(user),
    password: parameter('password') ?? decoded(password),
    database: parameter('dbname') ?? decoded(database),
    tls: tlsOf(parameter, env),
    options: parameter('options'),
  };
}

function notUrl(): never {
  throw new JournalError(
    'journal.url is not a PostgreSQL connection string: postgres://user:password@host:5432/database. ' +
      'Special characters in the password are written as %XX.',
  );
}

/** A % that begins no code is one, since passwords have them. */
function decoded(text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined;
  try {
    return decodeURIComponent(text.replace(/%(?![\da-f]{2})/gi, '%25'));
  } catch {
    return notUrl();
  }
}

/** Lists are separated by commas; one port may stand for all hosts. The parameters go before the authority. */
function hostsOf(
  authority: string,
  parameter: (name: string) => string | undefined,
  env: Env,
): PostgresHost[] {
  const pairs = authority.split(',').map((one) => {
    const [, bracketed, name, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d*))?$/.exec(one) ?? notUrl();
    return { host: decoded(bracketed ?? name), port };
  });
  const addresses = parameter('hostaddr')?.split(',');
  const ofUsual = authority === '' ? env['PGHOST'] : undefined;
  const given = (parameter('host') ?? ofUsual)?.split(',');
  const names = given ?? pairs.map(({ host }) => host);
  const hosts = addresses ?? names;
  const ports =
    parameter('port')?.split(',') ??
    (hosts.length === pairs.length ? pairs.map((one) => one.port) : [pairs[0]?.port]);
  if (ports.length !== 1 && ports.length !== hosts.length) {
    throw new JournalError(
      `journal.url names ${hosts.length} hosts and ${ports.length} ports. Give one port, or one for each host.`,
    );
  }
  return hosts.map((host, index) => {
    const port = Number((ports.length === 1 ? ports[0] : ports[index]) || env['PGPORT'] || 5432);
    if (!Number.isInteger(port) || port < 1 || port > 65_535) return notUrl();
    const certifiedAs = addresses === undefined ? undefined : names[index];
    return {
      host: host || env['PGHOST'] || 'localhost',
      port,
      ...(certifiedAs ? { certifiedAs } : {}),
    };
  });
}

const modes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full', 'no-verify'];

function tlsOf(parameter: (name: string) => string | undefined, env: Env): PostgresTls {
  const usesTls = parameter('ssl') === 'true' || parameter('ssl') === '1';
  const mode = parameter('sslmode') ?? (usesTls ? 'verify-full' : env['PGSSLMODE'] || 'disable');
  const root = parameter('sslrootcert') ?? (env['PGSSLROOTCERT'] || undefined);
  const rootFile = root === 'system' ? undefined : root;
  const files = {
    rootFile,
    certificateFile: parameter('sslcert') ?? (env['PGSSLCERT'] || undefined),
    keyFile: parameter('sslkey') ?? (env['PGSSLKEY'] || undefined),
  };
  switch (mode) {
    case 'verify-full':
      return { kind: 'verify-full', ...files };
    case 'verify-ca':
      if (rootFile !== undefined) return { kind: 'verify-ca', ...files };
      throw new JournalError(
        'journal.url has sslmode=verify-ca without sslrootcert: anybody gets a certificate from a public CA. Name the CA’s file in sslrootcert, or write sslmode=verify-full.',
      );
    case 'require':
      // As in libpq: with a root certificate it is verify-ca, without one it encrypts and verifies nothing.
      return { kind: rootFile === undefined ? 'unverified' : 'verify-ca', ...files };
    case 'no-verify':
      return { kind: 'unverified', ...files };
    case 'disable':
    // In libpq these two take what they get; here they begin without TLS and stay so.
    case 'allow':
    case 'prefer':
      return { kind: 'none' };
    default:
      throw new JournalError(`journal.url has an unknown sslmode. Known are ${modes.join(', ')}.`);
  }
}

/** Whether nobody but this machine is between us and the database. */
function isLocalHost({ host }: PostgresHost): boolean {
  return host.startsWith('/') || isLoopback(isIP(host) === 6 ? `[${host}]` : host.toLowerCase());
}

/**
 * Why the connection cannot be trusted: a host on another machine that does not show who it is. Undefined when it
 * can.
 */
export function trustProblem({ hosts, tls }: PostgresPlace): string | undefined {
  const remote = hosts.find((host) => !isLocalHost(host));
  if (remote === undefined || tls.kind === 'verify-full' || tls.kind === 'verify-ca')
    return undefined;
  return tls.kind === 'none'
    ? `speaks to ${remote.host} without TLS (sslmode is not given, or disable, allow or prefer): whoever is between reads the password, and every certificate request`
    : `speaks to ${remote.host} with TLS, but to whoever answers: sslmode=require without sslrootcert, and no-verify, verify nothing, as in libpq`;
}

/** Hosts, ports and database, for messages: never user or password. */
export function describePlace({ hosts, database }: PostgresPlace): string {
  const all = hosts.map(({ host, port }) => {
    const shown = host.includes(':') ? `[${host}]` : host;
    return port === 5432 ? shown : `${shown}:${port}`;
  });
  return `postgres://${all.join(',')}/${database ?? ''}`;
}
