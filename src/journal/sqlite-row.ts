import type { StatementSync } from 'node:sqlite';
import { JournalError, type LeasedEntry } from './journal.ts';

type SqliteRow = ReturnType<StatementSync['all']>[number];

export function leasedEntry(row: SqliteRow | undefined): LeasedEntry {
  if (row === undefined) throw new JournalError('A due entry has gone: the file is damaged.');
  const others = text(row, 'other_customers');
  return {
    processId: text(row, 'id'),
    customer: text(row, 'customer'),
    ...(others === '' ? {} : { otherCustomers: others.split(' ') }),
    openedAt: number(row, 'opened_at'),
    record: JSON.parse(text(row, 'record')),
    fence: number(row, 'fence'),
  };
}

export function text(row: SqliteRow, column: string): string {
  const value = row[column];
  if (typeof value === 'string') return value;
  throw new JournalError(`The journal’s column ${column} holds no text: the file is damaged.`);
}

export function number(row: SqliteRow, column: string): number {
  const value = row[column];
  if (typeof value === 'number') return value;
  throw new JournalError(`The journal’s column ${column} holds no number: the file is damaged.`);
}
