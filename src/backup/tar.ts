import { createReadStream, statSync } from 'node:fs';

/*
 * A tar archive (POSIX.1-1988, ustar) of a few files, so restoring a backup needs nothing but tar.
 */

export const blockBytes = 512;
/** Eleven octal digits. */
const largestBytes = 8 ** 11 - 1;

export interface TarEntry {
  /** In the archive: relative, at most 100 bytes. */
  readonly name: string;
  readonly path: string;
}

/** The archive in pieces; the files are read as they are now and must not change meanwhile. */
export async function* tar(entries: readonly TarEntry[]): AsyncGenerator<Buffer> {
  for (const { name, path } of entries) {
    const { size, mtimeMs } = statSync(path);
    yield header(name, size, mtimeMs);
    let bytes = 0;
    for await (const chunk of createReadStream(path)) {
      bytes += chunk.length;
      yield chunk;
    }
    if (bytes !== size) throw new Error(`${path} changed while it was read.`);
    yield Buffer.alloc((blockBytes - (size % blockBytes)) % blockBytes);
  }
  yield Buffer.alloc(2 * blockBytes);
}

/** Whether this is the first block of an archive whose first entry has this name. */
export function beginsWith(block: Buffer, name: string): boolean {
  return (
    block.toString('latin1', 0, name.length + 1) === `${name}\0` &&
    block.toString('latin1', 257, 262) === 'ustar'
  );
}

function header(name: string, size: number, mtimeMs: number): Buffer {
  if (Buffer.byteLength(name) > 100)
    throw new Error(`The name ${name} is too long for an archive.`);
  if (size > largestBytes) throw new Error(`${name} is larger than an archive takes (8 GiB).`);
  const block = Buffer.alloc(blockBytes);
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, '0');
  block.write(name, 0);
  block.write(octal(0o600, 7), 100);
  block.write(octal(0, 7), 108);
  block.write(octal(0, 7), 116);
  block.write(octal(size, 11), 124);
  block.write(octal(Math.floor(mtimeMs / 1_000), 11), 136);
  block.write(' '.repeat(8), 148);
  block.write('0', 156);
  block.write('ustar\x0000', 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${octal(sum, 6)}\0 `, 148);
  return block;
}
