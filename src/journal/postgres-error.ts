import { DatabaseError } from 'pg';
import { JournalError } from './journal.ts';

/** SQLSTATE codes (PostgreSQL, appendix A) that an operator can mend. */
const advice: Readonly<Record<string, string>> = {
  '28P01': 'the server refuses the user name or password. Correct journal.url.',
  '28000': 'the server refuses the user. Correct journal.url or the server’s pg_hba.conf.',
  '3D000': 'the database does not exist. Create it, or correct journal.url.',
  '3F000': 'there is no schema to create the tables in. Look at the user’s search_path.',
  '42501':
    'the user lacks rights. Grant it CREATE and USAGE on the schema, or ownership of the certprov_ tables.',
  '42P01': 'its tables are gone. Restore them from a backup, or restart to make them anew.',
  '25006': 'the server is a read-only standby. Point journal.url at the primary.',
  '53100': 'the server’s disk is full. Free some space and the service goes on by itself.',
  '53300':
    'the server has no connection left. Raise its max_connections or run fewer instances (each takes up to six).',
  '57P01': 'the server is shutting down. The service goes on by itself when it is back.',
  '57P02': 'the server crashed and recovers. The service goes on by itself when it is back.',
  '57P03': 'the server is starting up. The service goes on by itself when it is ready.',
  '57014': 'a statement took too long and was given up. Look at the server’s load and locks.',
  '55P03': 'a lock was not had in time. Look at who holds locks on the certprov_ tables.',
};

const connectionAdvice: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there. Start the server, or correct journal.url.',
  ENOTFOUND: 'the host’s name is unknown. Correct journal.url, or look at DNS.',
  EAI_AGAIN: 'the host’s name could not be looked up. Look at DNS.',
  ECONNRESET: 'the connection was lost. The service goes on by itself when the server is back.',
  EPIPE: 'the connection was lost. The service goes on by itself when the server is back.',
  ETIMEDOUT: 'the server did not answer in time. Look at the network and the firewall.',
  EHOSTUNREACH: 'the host cannot be reached. Look at the network.',
  ENOENT: 'there is no such socket. Start the server, or correct journal.url.',
  ERR_TLS_CERT_ALTNAME_INVALID:
    'the server’s certificate is for another name (sslmode=verify-full). Write the name that stands in it into journal.url.',
  CERT_HAS_EXPIRED: 'the server’s certificate has expired. Renew it, or look at the clocks.',
  ...untrusted(['SELF_SIGNED_CERT_IN_CHAIN', 'DEPTH_ZERO_SELF_SIGNED_CERT']),
  ...untrusted(['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY']),
};

/** OpenSSL's names, as Node gives them. */
function untrusted(codes: readonly string[]): Record<string, string> {
  const what =
    'the server’s certificate is by a CA that is not trusted. Name that CA’s file in journal.url: sslrootcert=FILE.';
  return Object.fromEntries(codes.map((code) => [code, what]));
}

/**
 * The server's own error is not kept as the cause: its detail may quote a row, and rows may hold secrets.
 *
 * @param doing what was tried, e.g. `read` or `written`.
 * @param where host, port and database, without user and password.
 */
export function postgresJournalError(error: unknown, doing: string, where: string): JournalError {
  if (error instanceof JournalError) return error;
  return new JournalError(`The journal ${where} cannot be ${doing}: ${reason(error)}`);
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown trouble.';
  const code = codeOf(error);
  if (error instanceof DatabaseError) {
    const said = `${error.message} (SQLSTATE ${code})`;
    const known = code === undefined ? undefined : advice[code];
    return known === undefined ? `${said}.` : `${known} The server said: ${said}.`;
  }
  const known = code === undefined ? undefined : connectionAdvice[code];
  // What is left comes from the driver: a connection that ended, a time-out, a TLS failure.
  return known ?? `${error.message || code}.`;
}

/** The SQLSTATE or Node's code. A name with several addresses fails with one error for each. */
export function codeOf(error: unknown): string | undefined {
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0]);
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
    return error.code;
  }
  return undefined;
}
