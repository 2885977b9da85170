import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A body above its limit. */
export class BodyTooLarge extends Error {}

/** The whole body; throws {@link BodyTooLarge} beyond `limitBytes`, and the request's error when it breaks off. */
export function readBody(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > limitBytes) {
        request.pause();
        reject(new BodyTooLarge(`the body is larger than ${limitBytes} bytes`));
      } else chunks.push(chunk);
    });
    request.on('end', () => {
      const only = chunks[0];
      resolve(chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks));
    });
    request.on('error', reject);
  });
}

/** One write with everything in it: no chunks. */
export function sendJson(
  response: ServerResponse,
  status: number,
  body: string,
  headers: readonly string[] = [],
): void {
  if (response.destroyed) return;
  response.writeHead(status, [
    'Content-Type',
    'application/json; charset=UTF-8',
    'Content-Length',
    String(Buffer.byteLength(body)),
    ...headers,
  ]);
  response.end(body);
}

/** Binds `host:port`; port 0 takes any. Answers the port; rejects when it cannot be bound. */
export function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

/** Stops listening and cuts what is still connected. */
export function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
