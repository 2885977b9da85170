import { type ClientConfig, Pool, type QueryResult, type QueryResultRow } from 'pg';
import { JournalError } from './journal.ts';
import { codeOf } from './postgres-error.ts';

export interface PostgresPoolOptions {
  /** `postgres://user:password@host:port/database`; parameters such as `sslmode` as libpq knows them. */
  readonly url: string;
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

/**
 * The server would plan a prepared statement once, perhaps while the table is empty and reading all of it
 * looks cheapest, and keep to that plan when the table has grown. Planning takes it a fraction of a ms.
 */
const plannerSettings = 'SET plan_cache_mode = force_custom_plan';

/** The limits that each of our connections has. */
export function connectionConfig(options: PostgresPoolOptions): ClientConfig {
  const statementTimeoutMs = options.statementTimeoutMs ?? 10_000;
  return {
    connectionString: options.url,
    application_name: 'certprov',
    keepAlive: true,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 5_000,
    statement_timeout: statementTimeoutMs,
    // The server gives up first and says so; this one is for a server that no longer answers at all.
    query_timeout: statementTimeoutMs + 5_000,
    idle_in_transaction_session_timeout: statementTimeoutMs,
  };
}

/**
 * Host, port and database, for messages: never user or password.
 *
 * @throws {JournalError} when it is not a PostgreSQL connection string.
 */
export function describeUrl(url: string): string {
  // The parser's own error would quote the URL, password and all.
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^postgres(ql)?:$/.test(parsed.protocol)) {
    throw new JournalError(
      'journal.url is not a PostgreSQL connection string: postgres://user:password@host:5432/database. ' +
        'Special characters in the password are written as %XX.',
    );
  }
  return `postgres://${parsed.host || 'localhost'}${parsed.pathname}`;
}

/** A bounded pool of connections. A lost one is replaced at the next call; calls under way fail. */
export class PostgresPool {
  readonly #pool: Pool;

  constructor(options: PostgresPoolOptions) {
    this.#pool = new Pool({
      ...connectionConfig(options),
      max: options.connections ?? 5,
      idleTimeoutMillis: 30_000,
      onConnect: async (client) => {
        await client.query(plannerSettings);
      },
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
