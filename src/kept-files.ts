import { type BigIntStats, statSync } from 'node:fs';

/**
 * Files that are held open and must stay where they are. Whoever deletes or replaces one under a running service would else
 * not be noticed: what is written goes on into a file without a name, and is gone with the process.
 */
export class KeptFiles {
  readonly #files: readonly {
    readonly path: string;
    readonly device: bigint;
    readonly inode: bigint;
  }[];

  /** They have to be there, and be held open from now on, so that their numbers are not given to others. */
  constructor(paths: readonly string[]) {
    this.#files = paths.map((path) => {
      const { dev: device, ino: inode } = statSync(path, { bigint: true });
      return { path, device, inode };
    });
  }

  /** What is wrong, as a sentence; undefined as long as every path leads to the file that is held open. Takes microseconds. */
  problem(): string | undefined {
    for (const { path, device, inode } of this.#files) {
      let found: BigIntStats | undefined;
      try {
        found = statSync(path, { bigint: true, throwIfNoEntry: false });
      } catch (error) {
        return `the file ${path} cannot be looked at any more: ${String(error)}.`;
      }
      if (found === undefined) {
        return `the file ${path} has vanished while it is in use. Move it back where it was, or stop the service and restore a backup.`;
      }
      if (found.dev !== device || found.ino !== inode) {
        return `the file ${path} was replaced while it is in use. Move the right one back, or restart the service if the new one is right.`;
      }
    }
    return undefined;
  }
}
