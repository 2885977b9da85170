import { type BigIntStats, statSync } from 'node:fs';

/** Larger files are not certificates or secrets, but programs and libraries. In bytes. */
const largestWatched = 256 * 1024;
const lookEveryMs = 1_000;
/** A file that was written less than this ago may be half written. */
const restMs = 2_000;

interface Version {
  readonly text: string;
  /** Milliseconds since the epoch. */
  readonly changedAt: number;
}

/**
 * Files whose contents may change: renewed certificates, rotated passwords, mounted secrets. They are checked when
 * they are used, by times, inode number and size (a symbolic link is followed, so Kubernetes' swap of a directory
 * shows), and at most once a second.
 */
export class WatchedFiles {
  /** Milliseconds since the epoch. */
  readonly #now: () => number;
  readonly #known = new Map<string, string>();
  #seen: string | undefined;
  #lookedAt: number;

  constructor(now: () => number) {
    this.#now = now;
    this.#lookedAt = now();
  }

  /** Call it before the file is read, so that no change is missed. Directories and large files do not count. */
  add(path: string): void {
    const found = statOf(path);
    if (typeof found === 'object' && (!found.isFile() || found.size > largestWatched)) return;
    this.#known.set(path, versionOf(found).text);
  }

  /** Whether a file has changed, and is not just being written. */
  changed(): boolean {
    const now = this.#now();
    // A clock that was set back must not end the looks.
    if (Math.abs(now - this.#lookedAt) < lookEveryMs) return false;
    this.#lookedAt = now;
    const before = this.#seen;
    const versions = [...this.#known.keys()].map((path) => versionOf(statOf(path)));
    this.#seen = versions.map(({ text }) => text).join(' ');
    if (this.#seen === [...this.#known.values()].join(' ')) return false;
    const newest = Math.max(...versions.map(({ changedAt }) => changedAt));
    return this.#seen === before || now - newest > restMs;
  }

  /** The present contents cannot be used: they count as known until they change again. */
  passOver(): void {
    for (const path of this.#known.keys()) this.#known.set(path, versionOf(statOf(path)).text);
  }
}

function statOf(path: string): BigIntStats | string {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false }) ?? 'missing';
  } catch (error) {
    return String(error);
  }
}

function versionOf(found: BigIntStats | string): Version {
  if (typeof found === 'string') return { text: found, changedAt: 0 };
  const { mtimeNs, ctimeNs, ino, size, ctimeMs } = found;
  return { text: `${mtimeNs}/${ctimeNs}/${ino}/${size}`, changedAt: Number(ctimeMs) };
}
