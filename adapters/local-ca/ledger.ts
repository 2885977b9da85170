import { chmodSync, closeSync, fdatasync, fdatasyncSync, openSync, statSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { ProvisioningError } from '../../src/errors.ts';
import type { RevocationReason } from '../../src/plug-in/certificate-authority.ts';
import { KeptFiles } from '../../src/watch/kept-files.ts';

const schema = `
  CREATE TABLE certificate (
    request_id  TEXT PRIMARY KEY,
    serial      TEXT NOT NULL UNIQUE, -- upper-case hexadecimal
    certificate BLOB NOT NULL,        -- DER
    issued_at   INTEGER NOT NULL,     -- milliseconds since the epoch, as all times here
    expires_at  INTEGER NOT NULL,
    revoked_at  INTEGER,
    reason      TEXT
  ) STRICT;
  CREATE INDEX certificate_revoked ON certificate (revoked_at) WHERE revoked_at IS NOT NULL;
  CREATE TABLE revocation_list (number INTEGER NOT NULL, issued_at INTEGER NOT NULL) STRICT;
  INSERT INTO revocation_list VALUES (0, 0);
  PRAGMA user_version = 1;
`;

/**
 * How long another process may hold the ledger before we give up for now. Two that start together wait for each
 * other's keys; afterwards a wait stops the whole service, and whoever is turned away comes back by itself.
 */
const startingPatienceMs = 30_000;
const servingPatienceMs = 1_000;

const syncData = promisify(fdatasync);

export interface LedgerEntry {
  readonly requestId: string;
  /** Upper-case hexadecimal. */
  readonly serial: string;
  /** DER. */
  readonly certificate: Uint8Array;
  readonly issuedAt: number;
  readonly expiresAt: number;
}

export interface RevokedEntry {
  readonly serial: string;
  readonly revokedAt: number;
  readonly reason: RevocationReason;
}

/**
 * What the local CA has issued: one certificate for each requestId, for good. Several processes may share the file;
 * every call that returns has written durably.
 *
 * @throws {ProvisioningError} `ca-unavailable` when the file is busy or the disk is full or failing,
 * `ca-misconfigured` when it cannot be opened, written or understood.
 */
export class Ledger implements Disposable {
  readonly #file: string;
  readonly #database: DatabaseSync;
  readonly #find: StatementSync;
  readonly #insert: StatementSync;
  /** The write-ahead log: what is on the disk there is durable. */
  readonly #log: number;
  readonly #kept: KeptFiles;

  constructor(file: string) {
    this.#file = file;
    this.#database = this.#explained(() => open(file));
    this.#log = this.#explained(() => openSync(`${file}-wal`, 'r'));
    this.#kept = this.#explained(() => new KeptFiles([file, `${file}-wal`, `${file}-shm`]));
    this.#find = this.#database.prepare('SELECT certificate FROM certificate WHERE request_id = ?');
    this.#insert = this.#database.prepare(
      `INSERT INTO certificate (request_id, serial, certificate, issued_at, expires_at)
       VALUES (?, ?, ?, ?, ?) ON CONFLICT (request_id) DO NOTHING`,
    );
  }

  /** From now on another process is not waited for long. */
  serve(): void {
    this.#database.exec(`PRAGMA busy_timeout = ${servingPatienceMs}`);
  }

  /** The certificate (DER) that was issued for an order, also when its writing has only just begun. */
  async find(requestId: string): Promise<Uint8Array | undefined> {
    const certificate = this.#explained(() => certificateOf(this.#find.get(requestId)));
    if (certificate !== undefined) await this.#sync();
    return certificate;
  }

  /**
   * Writes all entries in one transaction and gives for each what now stands in the ledger: the entry's own
   * certificate, or the one that another process wrote first for the same requestId. The disk is awaited
   * beside the event loop.
   */
  async record(entries: readonly LedgerEntry[]): Promise<Uint8Array[]> {
    const recorded = this.#transact(() =>
      entries.map((entry) => {
        const { requestId, serial, certificate, issuedAt, expiresAt } = entry;
        const { changes } = this.#insert.run(requestId, serial, certificate, issuedAt, expiresAt);
        if (changes === 1) return certificate;
        return certificateOf(this.#find.get(requestId)) ?? certificate;
      }),
    );
    await this.#sync();
    return recorded;
  }

  /** Marks a certificate as revoked. False when it is already, or is not in the ledger. */
  revoke(serial: string, reason: RevocationReason, at: number): boolean {
    const statement = this.#database.prepare(
      'UPDATE certificate SET revoked_at = ?, reason = ? WHERE serial = ? AND revoked_at IS NULL',
    );
    return statement.run(at, reason, serial).changes === 1;
  }

  has(serial: string): boolean {
    const statement = this.#database.prepare('SELECT 1 FROM certificate WHERE serial = ?');
    return this.#explained(() => statement.get(serial)) !== undefined;
  }

  isEmpty(): boolean {
    this.#refuseWhenLost();
    return this.#explained(
      () => this.#database.prepare('SELECT 1 FROM certificate LIMIT 1').get() === undefined,
    );
  }

  /** Revoked certificates that expired after `since`: older ones may leave the CRL (RFC 5280 3.3). */
  revoked(since: number): RevokedEntry[] {
    const rows = this.#database
      .prepare(
        `SELECT serial, revoked_at AS revokedAt, reason FROM certificate
         WHERE revoked_at IS NOT NULL AND expires_at > ? ORDER BY revoked_at, serial`,
      )
      .all(since);
    return rows.map(({ serial, revokedAt, reason }) => ({
      serial: String(serial),
      revokedAt: Number(revokedAt),
      reason: reason as RevocationReason,
    }));
  }

  /** When the present CRL was made; 0 when there is none. */
  revocationListIssuedAt(): number {
    const row = this.#database.prepare('SELECT issued_at AS at FROM revocation_list').get();
    return Number(row?.['at'] ?? 0);
  }

  /** The number of the next CRL, which grows across crashes, too: it is never below the time in milliseconds. */
  nextRevocationListNumber(at: number): number {
    const row = this.#database
      .prepare(
        'UPDATE revocation_list SET number = max(number + 1, ?), issued_at = ? RETURNING number',
      )
      .get(at, at);
    return Number(row?.['number']);
  }

  /** Runs with every other process kept out; what was written is kept, durably, only when `work` returns. */
  exclusively<Result>(work: () => Result): Result {
    const result = this.#transact(work);
    this.#explained(() => fdatasyncSync(this.#log));
    this.#refuseWhenLost();
    return result;
  }

  async #sync(): Promise<void> {
    await syncData(this.#log).catch((error: unknown) => {
      throw explained(error, this.#file);
    });
    this.#refuseWhenLost();
  }

  /** What stands in a file that nobody will find again is not kept. */
  #refuseWhenLost(): void {
    const problem = this.#kept.problem();
    if (problem === undefined) return;
    throw new ProvisioningError('ca-misconfigured', `The ledger cannot be used: ${problem}`);
  }

  #transact<Result>(work: () => Result): Result {
    return this.#explained(() => {
      this.#database.exec('BEGIN IMMEDIATE');
      try {
        const result = work();
        this.#database.exec('COMMIT');
        return result;
      } catch (error) {
        if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
        throw error;
      }
    });
  }

  [Symbol.dispose](): void {
    if (!this.#database.isOpen) return;
    this.#database.close();
    closeSync(this.#log);
  }

  #explained<Result>(work: () => Result): Result {
    try {
      return work();
    } catch (error) {
      throw explained(error, this.#file);
    }
  }
}

/**
 * Made by us first, so that it is nobody else's to read at any moment; SQLite gives -wal and -shm the same mode. A file that is there is
 * not opened here: to close it would drop the POSIX locks that this process has on it by another connection, and the next
 * process that closes the ledger would delete the log under its feet.
 */
function makeFile(file: string): void {
  try {
    closeSync(openSync(file, 'wx', 0o600));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    if ((statSync(file).mode & 0o777) !== 0o600) chmodSync(file, 0o600);
  }
}

function open(file: string): DatabaseSync {
  makeFile(file);
  const database = new DatabaseSync(file, { timeout: startingPatienceMs });
  try {
    useWriteAheadLog(database);
    // Without the fdatasync in each COMMIT that FULL adds: it is done here, where it need not block.
    database.exec('PRAGMA synchronous = NORMAL');
    database.exec('BEGIN IMMEDIATE');
    const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
    if (version > 1) {
      throw new ProvisioningError(
        'ca-misconfigured',
        `${file} was written by a newer version of this program (schema ${version}, known is 1)`,
      );
    }
    if (version === 0) database.exec(schema);
    database.exec('COMMIT');
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/**
 * SQLite does not wait, whatever its time-out, when two processes turn the same new file to WAL at the same moment.
 * So the one who lost tries again; the mode is kept in the file, and then there is nothing left to do.
 */
function useWriteAheadLog(database: DatabaseSync): void {
  const deadline = performance.now() + startingPatienceMs;
  for (;;) {
    try {
      database.exec('PRAGMA journal_mode = WAL');
      return;
    } catch (error) {
      if (!isBusy(error) || performance.now() > deadline) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    }
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && (Number(error.errcode) & 0xff) === 5;
}

function certificateOf(row: Record<string, unknown> | undefined): Uint8Array | undefined {
  const certificate = row?.['certificate'];
  return certificate instanceof Uint8Array ? certificate : undefined;
}

/** Primary result codes (https://sqlite.org/rescode.html) of trouble that passes: BUSY, LOCKED, NOMEM, IOERR, FULL. */
const passingCodes = new Set([5, 6, 7, 10, 13]);

function explained(error: unknown, file: string): unknown {
  if (error instanceof ProvisioningError || !(error instanceof Error)) return error;
  const result = 'errcode' in error ? Number(error.errcode) & 0xff : undefined;
  const system = 'code' in error && 'syscall' in error;
  if (result === undefined && !system) return error;
  const passing = result !== undefined && passingCodes.has(result);
  return new ProvisioningError(
    passing ? 'ca-unavailable' : 'ca-misconfigured',
    `The ledger ${file} cannot be used: ${error.message}. Check the disk, the file's owner, and that nothing else holds it.`,
    { cause: error },
  );
}
