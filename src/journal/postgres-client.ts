import type { ConnectionOptions } from 'node:tls';
import { Client, type ClientConfig } from 'pg';
import { messageOf } from '../words/message-of.ts';
import { JournalError } from './journal.ts';
import { secureOptions } from './postgres-tls.ts';
import type { PostgresHost, PostgresPlace } from './postgres-url.ts';

export interface SessionLimits {
  /** Limit of one statement, in milliseconds. */
  readonly statementTimeoutMs: number;
  /** Limit of making a connection, in milliseconds. */
  readonly connectTimeoutMs: number;
}

/** Makes a connection: at the host that can be written to, sure whom it speaks to, with the usual limits or these. */
export type PostgresClients = new (limits?: Partial<SessionLimits>) => Client;

/**
 * Makes connections to one database. Limits are set by statements once it stands and not by parameters of the
 * start-up, which PgBouncer does not let through.
 */
export function postgresClients(place: PostgresPlace, usual: SessionLimits): PostgresClients {
  const choice = new HostChoice(place, usual);
  return class extends Client {
    readonly #limits: SessionLimits;
    readonly #secure: ConnectionOptions;

    constructor(given: Partial<SessionLimits> = {}) {
      const secure: ConnectionOptions = {};
      const limits = { ...usual, ...pick(given) };
      super({
        ...clientConfig(place, secure, limits),
        // The server gives up first and says so; this one is for a server that no longer answers at all.
        query_timeout: limits.statementTimeoutMs + 5_000,
      });
      this.#limits = limits;
      this.#secure = secure;
    }

    override connect(): Promise<Client>;
    override connect(callback: ConnectCallback): void;
    override connect(callback?: ConnectCallback): Promise<Client> | undefined {
      const connecting = this.#connect();
      if (callback === undefined) return connecting;
      // The pool gives one that looks first whether there is an error.
      const done: (error: Error & null, client: Client) => void = callback;
      connecting.then(
        () => Reflect.apply(done, undefined, [null, this]),
        (error: unknown) => Reflect.apply(done, undefined, [error, this]),
      );
      return undefined;
    }

    async #connect(): Promise<Client> {
      const chosen = choice.only ?? (await choice.choose());
      const { host, port } = chosen;
      Object.assign(this, { host, port });
      Object.assign(this.#secure, await secureOptions(place.tls, chosen));
      try {
        await super.connect();
        await this.query(settings(this.#limits));
        return this;
      } catch (error) {
        choice.forget();
        throw error;
      }
    }
  };
}

/** As the driver's types have it: the pool hands over one of the second kind. */
type ConnectCallback = ((error: Error) => void) | ((error: null, client: Client) => void);

function pick({ statementTimeoutMs, connectTimeoutMs }: Partial<SessionLimits>) {
  return {
    ...(statementTimeoutMs === undefined ? {} : { statementTimeoutMs }),
    ...(connectTimeoutMs === undefined ? {} : { connectTimeoutMs }),
  };
}

/**
 * The server would plan a prepared statement once, perhaps while the table is empty and reading all of it
 * looks cheapest, and keep to that plan when the table has grown. Planning takes it a fraction of a ms.
 */
function settings({ statementTimeoutMs }: SessionLimits): string {
  return [
    'SET plan_cache_mode = force_custom_plan',
    `SET statement_timeout = ${statementTimeoutMs}`,
    `SET idle_in_transaction_session_timeout = ${statementTimeoutMs}`,
  ].join('; ');
}

function clientConfig(
  { user, password, database, options, tls, hosts }: PostgresPlace,
  secure: ConnectionOptions,
  { connectTimeoutMs }: SessionLimits,
): ClientConfig {
  const [first] = hosts;
  // As libpq has it, sslmode says nothing about a Unix socket.
  const usesTls = tls.kind !== 'none' && first?.host.startsWith('/') !== true;
  return {
    ...(first === undefined ? {} : { host: first.host, port: first.port }),
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
    ...(database === undefined ? {} : { database }),
    ...(options === undefined ? {} : { options }),
    ssl: usesTls ? secure : false,
    application_name: 'certprov',
    keepAlive: true,
    connectionTimeoutMillis: connectTimeoutMs,
  };
}

/** Which of several hosts can be written to: kept until a connection to it fails. */
class HostChoice {
  readonly only: PostgresHost | undefined;
  readonly #place: PostgresPlace;
  readonly #limits: SessionLimits;
  #choosing: Promise<PostgresHost> | undefined;

  constructor(place: PostgresPlace, limits: SessionLimits) {
    const [first, second] = place.hosts;
    this.only = second === undefined ? first : undefined;
    this.#place = place;
    this.#limits = limits;
  }

  choose(): Promise<PostgresHost> {
    this.#choosing ??= this.#tryEach().catch((error: unknown) => {
      this.forget();
      throw error;
    });
    return this.#choosing;
  }

  forget(): void {
    this.#choosing = undefined;
  }

  async #tryEach(): Promise<PostgresHost> {
    const problems: string[] = [];
    for (const host of this.#place.hosts) {
      const problem = await this.#problemOf(host);
      if (problem === undefined) return host;
      problems.push(`${host.host}:${host.port}: ${problem}`);
    }
    throw new JournalError(`None of its hosts can be written to. ${problems.join('; ')}`);
  }

  async #problemOf(host: PostgresHost): Promise<string | undefined> {
    const secure = {};
    const config = clientConfig({ ...this.#place, hosts: [host] }, secure, this.#limits);
    const client = new Client({ ...config, query_timeout: this.#limits.connectTimeoutMs });
    // A connection that breaks fails what is under way; the event says the same again.
    client.on('error', () => undefined);
    try {
      Object.assign(secure, await secureOptions(this.#place.tls, host));
      await client.connect();
      const { rows } = await client.query<{ readOnly: string }>(
        `SELECT current_setting('transaction_read_only') AS "readOnly"`,
      );
      return rows[0]?.readOnly === 'off' ? undefined : 'it is a read-only standby';
    } catch (error) {
      return messageOf(error);
    } finally {
      // It may never have come to stand.
      await client.end().catch(() => undefined);
    }
  }
}
