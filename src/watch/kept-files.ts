import { createHash } from 'node:crypto';
import { type BigIntStats, readFileSync, statSync } from 'node:fs';

/**
 * Files that must stay where they are. Otherwise nobody would notice when one is deleted or replaced under a running
 * service: what is written goes on into a file without a name, and is gone with the process.
 */
export class KeptFiles {
  readonly #files: readonly KeptFile[];

  /**
   * They have to exist. `growing` files are held open from now on, so their inode numbers are not given to others;
   * `fixed` files are small and never written again: another file in their place with the same contents is as good.
   */
  constructor(growing: readonly string[], fixed: readonly string[] = []) {
    this.#files = [
      ...growing.map((path) => ({ path, version: numbersOf(statOf(path)), read: numbersOf })),
      ...fixed.map((path) => ({
        path,
        version: timesOf(statOf(path)),
        read: timesOf,
        digest: digestOf(path),
      })),
    ];
  }

  /** What is wrong, as a sentence; undefined as long as every path leads to what it led to. Takes microseconds. */
  problem(): string | undefined {
    for (const file of this.#files) {
      const { path } = file;
      try {
        const found = statSync(path, { bigint: true, throwIfNoEntry: false });
        if (found === undefined) {
          return `the file ${path} has vanished while it is in use. Move it back where it was, or stop the service and restore a backup.`;
        }
        if (file.read(found) === file.version) continue;
        if (file.digest === undefined || digestOf(path) !== file.digest) {
          return `the file ${path} was replaced while it is in use. Move the right one back, or restart the service if the new one is right.`;
        }
        file.version = file.read(found);
      } catch (error) {
        return `the file ${path} cannot be looked at any more: ${String(error)}.`;
      }
    }
    return undefined;
  }
}

interface KeptFile {
  readonly path: string;
  /** What tells one file from another. */
  readonly read: (found: BigIntStats) => string;
  version: string;
  /** Of its contents, where they alone count. */
  readonly digest?: string;
}

function statOf(path: string): BigIntStats {
  return statSync(path, { bigint: true });
}

function numbersOf({ dev, ino }: BigIntStats): string {
  return `${dev}/${ino}`;
}

/** The inode number of a file that nobody holds open may be given to the next one. */
function timesOf(found: BigIntStats): string {
  return `${numbersOf(found)}/${found.ctimeNs}/${found.mtimeNs}/${found.size}`;
}

function digestOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
