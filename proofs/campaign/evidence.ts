import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Client } from 'pg';
import type { ProcessView } from '../../simulator/simulated-process.ts';
import { requestIdOf } from '../../src/visit/issue-request.ts';
import type { Life } from './fleet.ts';
import type { CampaignOptions } from './options.ts';
import type { Group } from './population.ts';
import { readTrail, type TrailLine } from './trail.ts';
import { authorities } from './worker-config.ts';

/** What the campaign itself knows when it is over. */
export interface Witness {
  readonly options: CampaignOptions;
  readonly directory: string;
  readonly seed: number;
  readonly seconds: number;
  readonly views: readonly ProcessView[];
  readonly groupOf: ReadonlyMap<string, Group>;
  readonly lives: readonly Life[];
  readonly deserters: readonly Life[];
  /** When PostgreSQL was down. */
  readonly outages: readonly { readonly from: number; readonly to: number }[];
  readonly forGood: number;
  readonly messages: { readonly waiting: number; readonly out: number };
  readonly databaseUrl?: string;
}

export interface JournalRow {
  readonly id: string;
  /** Null while it is open. */
  readonly outcome: string | null;
  readonly code: string | null;
  /** JSON. */
  readonly record: string;
}

/** A certificate in a CA's ledger. */
export interface LedgerRow {
  readonly authority: string;
  readonly serial: string;
  /** DER, base64. */
  readonly certificate: string;
  readonly revoked: boolean;
}

export interface LogLine {
  readonly instance: string;
  readonly event?: string;
  readonly processId?: string;
  readonly revoked?: boolean;
  /** As it was written. */
  readonly text: string;
}

/** One life, with what it left behind. */
export interface Lived {
  readonly instance: string;
  readonly endedAt: number | undefined;
  readonly killed: boolean;
  readonly trail: readonly TrailLine[];
}

/** Everything the verdict is made from, all of it read from outside of the instances. */
export interface Evidence extends Omit<Witness, 'lives' | 'deserters'> {
  readonly journal: ReadonlyMap<string, JournalRow>;
  /** By process id. */
  readonly ledger: ReadonlyMap<string, readonly LedgerRow[]>;
  /** Certificates of which no process is known. */
  readonly strangers: readonly LedgerRow[];
  readonly lived: readonly Lived[];
  readonly deserted: readonly string[];
  readonly logLines: readonly LogLine[];
}

export async function readEvidence(witness: Witness): Promise<Evidence> {
  const { lives, deserters, ...known } = witness;
  const { directory, databaseUrl, groupOf } = witness;
  const rows =
    databaseUrl === undefined
      ? readSqlite(join(directory, 'journal.db'))
      : await readPostgres(databaseUrl);
  return {
    ...known,
    journal: new Map(rows.map((row) => [row.id, row])),
    ...readLedgers(directory, [...groupOf.keys()]),
    lived: lives.map(({ instance, ended, trailPath }) => ({
      instance,
      endedAt: ended?.at,
      killed: ended?.killed ?? false,
      trail: readTrail(trailPath),
    })),
    deserted: deserters.map(({ instance }) => instance),
    logLines: lives.flatMap(({ instance, logPath }) => readLog(instance, logPath)),
  };
}

function readSqlite(path: string): JournalRow[] {
  using database = new DatabaseSync(path);
  return database
    .prepare('SELECT id, outcome, code, record FROM process')
    .all()
    .map(({ id, outcome, code, record }) => journalRow(id, outcome, code, record));
}

async function readPostgres(url: string): Promise<JournalRow[]> {
  const client = new Client(url);
  await client.connect();
  try {
    const sql = 'SELECT id, outcome, code, record FROM certprov_process';
    const { rows } = await client.query<Record<string, unknown>>(sql);
    return rows.map(({ id, outcome, code, record }) => journalRow(id, outcome, code, record));
  } finally {
    await client.end();
  }
}

function journalRow(id: unknown, outcome: unknown, code: unknown, record: unknown): JournalRow {
  return {
    id: String(id),
    outcome: outcome === null ? null : String(outcome),
    code: code === null ? null : String(code),
    record: typeof record === 'string' ? record : JSON.stringify(record),
  };
}

/** An authority orders at most so often for one process; see src/issue/issue.ts. */
const mostOrders = 3;

function readLedgers(directory: string, processIds: readonly string[]) {
  const processOf = new Map<string, string>();
  for (const id of processIds) {
    for (let number = 1; number <= mostOrders; number += 1) {
      processOf.set(requestIdOf(id, number), id);
    }
  }
  const ledger = new Map<string, LedgerRow[]>();
  const strangers: LedgerRow[] = [];
  for (const [authority, folder] of Object.entries(authorities)) {
    const path = join(directory, folder, 'ledger.db');
    if (!existsSync(path)) continue;
    using database = new DatabaseSync(path);
    const sql = 'SELECT request_id, serial, certificate, revoked_at FROM certificate';
    for (const row of database.prepare(sql).all()) {
      const { request_id, serial, certificate, revoked_at } = row;
      const entry: LedgerRow = {
        authority,
        serial: String(serial),
        certificate: certificate instanceof Uint8Array ? base64(certificate) : '',
        revoked: revoked_at !== null,
      };
      const [requestId = ''] = String(request_id).split('/');
      const processId = processOf.get(requestId);
      if (processId === undefined) strangers.push(entry);
      else ledger.set(processId, [...(ledger.get(processId) ?? []), entry]);
    }
  }
  return { ledger, strangers };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

function readLog(instance: string, path: string): LogLine[] {
  const lines: LogLine[] = [];
  for (const text of readFileSync(path, 'utf8').split('\n')) {
    if (text === '') continue;
    lines.push({ instance, text, ...fieldsOf(text) });
  }
  return lines;
}

function fieldsOf(text: string): Partial<LogLine> {
  try {
    const { event, processId, revoked } = JSON.parse(text);
    return { event, processId, revoked };
  } catch {
    return {}; // A stack trace, or a line that kill -9 cut short: it is shown as it is.
  }
}
