import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { ProvisioningError } from '../../src/errors.ts';

const path = '/.well-known/acme-challenge/';

/** Listeners by host and port: several authorities of this process may answer on the same one. */
const listeners = new Map<string, ChallengeListener>();

/** Answers http-01 challenges (RFC 8555 8.3) while there are some, and listens only then. */
class ChallengeListener {
  readonly #answers = new Map<string, string>();
  readonly #server: Server;
  readonly ready: Promise<void>;

  constructor(host: string, port: number) {
    this.#server = createServer(
      { requestTimeout: 5_000, headersTimeout: 5_000 },
      (request, reply) => {
        const { method, url = '' } = request;
        const answer = url.startsWith(path) ? this.#answers.get(url.slice(path.length)) : undefined;
        const known = method === 'GET' && answer !== undefined;
        reply.writeHead(known ? 200 : 404, {
          'content-type': 'application/octet-stream',
          connection: 'close',
        });
        reply.end(known ? answer : '');
      },
    );
    this.#server.maxConnections = 100;
    this.ready = once(this.#server.listen(port, host), 'listening').then(() => undefined);
  }

  add(token: string, answer: string): void {
    this.#answers.set(token, answer);
  }

  /** True when nothing is left to answer. */
  remove(token: string): boolean {
    this.#answers.delete(token);
    return this.#answers.size === 0;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

/**
 * Serves a key authorization until the result is disposed of.
 *
 * @throws {ProvisioningError} `ca-misconfigured` when the port cannot be had.
 */
export async function serveChallenge(
  { host, port }: { readonly host: string; readonly port: number },
  token: string,
  keyAuthorization: string,
): Promise<Disposable> {
  const place = `${host} ${port}`;
  const listener = listeners.get(place) ?? new ChallengeListener(host, port);
  listeners.set(place, listener);
  listener.add(token, keyAuthorization);
  const release = () => {
    if (!listener.remove(token)) return;
    listener.close();
    if (listeners.get(place) === listener) listeners.delete(place);
  };
  try {
    await listener.ready;
  } catch (error) {
    release();
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw new ProvisioningError(
      'ca-misconfigured',
      `http-01 cannot listen on ${host}:${port} (${code}). Choose another port and lead port 80 of the names there.`,
      { cause: error },
    );
  }
  return { [Symbol.dispose]: release };
}
