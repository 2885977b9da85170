import { open } from 'node:fs/promises';

/** What is in a file; undefined when it is more than `mostBytes`, which are never read. */
export async function readLimited(
  path: string,
  mostBytes: number,
): Promise<Uint8Array | undefined> {
  await using handle = await open(path, 'r');
  const buffer = Buffer.alloc(mostBytes + 1);
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
  return bytesRead > mostBytes ? undefined : new Uint8Array(buffer.subarray(0, bytesRead));
}
