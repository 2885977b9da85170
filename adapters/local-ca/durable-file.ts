import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { ProvisioningError } from '../../src/errors.ts';
import { messageOf } from '../../src/words/message-of.ts';

/** Whole or not at all, and on the disk when it returns. One writer at a time: the ledger's lock is held. */
export function writeDurably(file: string, contents: string, mode: number): void {
  explained(file, () => {
    const unfinished = `${file}.new`;
    const descriptor = openSync(unfinished, 'w', mode);
    try {
      writeFileSync(descriptor, contents);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(unfinished, file);
    const directory = openSync(dirname(file), 'r');
    try {
      fsyncSync(directory);
    } finally {
      closeSync(directory);
    }
  });
}

/** Runs `work`; what it throws is `ca-misconfigured` and names the file. */
export function explained<Result>(file: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw new ProvisioningError('ca-misconfigured', `${file} cannot be used: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
