import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

// Below the ports that Linux lends to outgoing connections (32768 and up): one of ours that is free
// now cannot be taken by a connection of this or another process before its server starts.
const first = 15_000;
const end = 32_000;
const given = new Set<number>();

/** A TCP port on 127.0.0.1 that nobody listens on, given to no other caller in this process. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = randomInt(first, end);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`There is no free port from ${first} to ${end - 1}.`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return false; // Somebody listens there.
  }
  server.close();
  await once(server, 'close');
  return true;
}
