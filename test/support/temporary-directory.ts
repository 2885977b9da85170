import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A directory of its own; gone when it is disposed of. */
export function temporaryDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  return directoryIn(tmpdir());
}

/** The same in memory, where the system has that: for databases whose writes would only wait for the disk. */
export function memoryDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  return directoryIn(memory() ?? tmpdir());
}

function memory(): string | undefined {
  try {
    accessSync('/dev/shm', constants.W_OK | constants.X_OK);
    return '/dev/shm';
  } catch {
    return undefined;
  }
}

async function directoryIn(parent: string) {
  const path = await mkdtemp(join(parent, 'certprov-test-'));
  return {
    path,
    async [Symbol.asyncDispose]() {
      await rm(path, { recursive: true, force: true });
    },
  };
}
