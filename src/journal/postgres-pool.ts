import { Pool, type QueryResult, type QueryResultRow } from 'pg';
import { JournalError } from './journal.ts';
import { type PostgresClients, postgresClients } from './postgres-client.ts';
import { codeOf } from './postgres-error.ts';
import { type PostgresPlace, readPostgresUrl } from './postgres-url.ts';

export interface PostgresPoolOptions {
  /** `postgres://user:password@host:port/database`; parameters such as `sslmode` as libpq knows them. */
  readonly url: string;
  /** The URL as it stands now in its file: each new connection logs in with its password. */
  readonly urlNow?: () => Promise<string>;
  /** Connections at most, besides the one that listens. */
  readonly connections?: number;
  /** Limit of one statement, in milliseconds. */
  readonly statementTimeoutMs?: number;
  /** Limit of making a connection, and of waiting for a free one, in milliseconds. */
  readonly connectTimeoutMs?: number;
}

/** What undoes a statement through no fault of its own: a deadlock, a serialization failure. */
const worthRepeating = new Set(['40P01', '40001']);
const mostRepeats = 3;

const usualConnectTimeoutMs = 5_000;

/** What makes our connections to a place, with the limits that each of them has. */
export function clientsFor(place: PostgresPlace, options: PostgresPoolOptions): PostgresClients {
  const { urlNow } = options;
  const password = urlNow === undefined ? {} : { password: () => passwordNow(urlNow, place) };
  return postgresClients(
    { ...place, ...password },
    {
      statementTimeoutMs: options.statementTimeoutMs ?? 10_000,
      connectTimeoutMs: options.connectTimeoutMs ?? usualConnectTimeoutMs,
    },
  );
}

/** What is in the file now; a file that cannot be read or is just being written leaves the password that was. */
async function passwordNow(urlNow: () => Promise<string>, place: PostgresPlace): Promise<string> {
  const known = typeof place.password === 'string' ? place.password : '';
  try {
    const { password } = readPostgresUrl(await urlNow());
    return typeof password === 'string' ? password : known;
  } catch {
    // The server says what is wrong when the old one is wrong by now.
    return known;
  }
}

/** A bounded pool of connections. A lost one is replaced at the next call; calls under way fail. */
export class PostgresPool {
  readonly #pool: Pool;

  constructor(
    clients: PostgresClients,
    options: Pick<PostgresPoolOptions, 'connections' | 'connectTimeoutMs'>,
  ) {
    this.#pool = new Pool({
      Client: clients,
      connectionTimeoutMillis: options.connectTimeoutMs ?? usualConnectTimeoutMs,
      max: options.connections ?? 5,
      idleTimeoutMillis: 30_000,
    });
    // An idle connection was lost. The pool has thrown it away; the next call finds out what is wrong.
    this.#pool.on('error', () => undefined);
  }

  /**
   * Runs one statement, prepared under its name, in a transaction of its own; again when a deadlock undid it.
   *
   * @throws what the server or the driver says; {@link JournalError} after {@link close}.
   */
  async query<Row extends QueryResultRow>(
    name: string,
    text: string,
    values: unknown[],
  ): Promise<QueryResult<Row>> {
    if (this.#pool.ending) throw new JournalError('The journal is closed.');
    for (let repeats = 0; ; repeats += 1) {
      try {
        return await this.#pool.query<Row>({ name: `certprov-${name}`, text, values });
      } catch (error) {
        if (!worthRepeating.has(codeOf(error) ?? '') || repeats >= mostRepeats) throw error;
      }
    }
  }

  /** Waits for the statements under way, then ends every connection. */
  async close(): Promise<void> {
    await this.#pool.end();
  }
}
