import { JournalError } from './journal.ts';

/** SQLite's primary result codes (https://sqlite.org/rescode.html) that an operator can mend. */
const advice: ReadonlyMap<number, string> = new Map([
  [3, 'access is denied: give the service’s user read and write rights to the file.'],
  [
    5,
    'another process has it open. A SQLite journal serves one instance: stop the other one, give each its own journal.path, or use journal.kind: postgres.',
  ],
  [
    8,
    'it is read-only: make the file and its directory writable for the service’s user, and the file system mounted read-write.',
  ],
  [10, 'the disk gave an error: look at the system’s log and the disk’s health.'],
  [
    11,
    'the file is damaged. Stop the service, keep a copy, try `sqlite3 FILE .recover`, or restore a backup.',
  ],
  [
    13,
    'the disk is full. Nothing that was acknowledged is lost; free some space and the service goes on by itself.',
  ],
  [
    14,
    'it cannot be opened: look at the path, and at the rights of the file and of its directory.',
  ],
  [26, 'the file is not a SQLite database. Point journal.path at another file.'],
]);

const fileAdvice: Readonly<Record<string, string>> = {
  EACCES: 'access is denied: give the service’s user read and write rights to it.',
  EPERM: 'the operation is not permitted: the file must belong to the service’s user.',
  EROFS: 'the file system is mounted read-only.',
  ENOSPC: 'the disk is full: free some space.',
  ENOTDIR: 'a part of its path is a file, not a directory.',
  EEXIST: 'another process is just making it, or a part of its path is a file, not a directory.',
  ENOENT: 'its directory does not exist and cannot be made.',
};

/** @param doing what was tried, e.g. `opened` or `written`. */
export function sqliteJournalError(error: unknown, doing: string, path: string): JournalError {
  if (error instanceof JournalError) return error;
  const where = `The journal ${path} cannot be ${doing}: `;
  return new JournalError(where + reason(error), { cause: error });
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ('errcode' in error && typeof error.errcode === 'number') {
    // The lower byte is the primary code; the rest says in which corner of SQLite it arose.
    const known = advice.get(error.errcode & 0xff);
    return known ?? `${error.message} (SQLite code ${error.errcode}).`;
  }
  if ('code' in error && typeof error.code === 'string') {
    return fileAdvice[error.code] ?? error.message;
  }
  return error.message;
}
