import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import {
  createServer,
  type IncomingHttpHeaders,
  type Server,
  type ServerResponse,
} from 'node:http';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleepFor } from 'node:timers/promises';
import localCa from '../../../adapters/local-ca/local-ca.ts';
import type { AdapterHarness } from '../../../conformance/harness.ts';
import type {
  CertificateAuthority,
  RevocationReason,
} from '../../../src/plug-in/certificate-authority.ts';
import { readCertificationRequest } from '../../../src/request/read-certification-request.ts';
import type { RequestedCertificate } from '../../../src/request/requested-certificate.ts';
import { decodePem, encodePem, readCertificates } from '../../../src/x509/pem.ts';
import { connectContext } from '../../support/connect-context.ts';
import { memoryDirectory } from '../../support/temporary-directory.ts';
import { slowMs } from './slow.ts';

const never = new AbortController().signal;

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | object;
}

/**
 * The ground under a double: an HTTP server on loopback with a CA (of the kind local-ca) behind it, which can
 * be made to give a wrong answer once, or none.
 */
export class SigningServer implements AsyncDisposable {
  /** Every request that came, as `POST /path`. */
  readonly calls: string[] = [];
  readonly directory: string;
  readonly #temporary: AsyncDisposable;
  readonly #ca: CertificateAuthority;
  readonly #server: Server;
  readonly #misspoken: { readonly path: RegExp; readonly reply: Reply | 'hang' | 'slow' }[] = [];
  readonly #open = new Set<ServerResponse>();
  #hanging = Promise.withResolvers<void>();

  private constructor(
    temporary: AsyncDisposable & { path: string },
    ca: CertificateAuthority,
    handle: (received: Received) => Promise<Reply>,
  ) {
    this.#temporary = temporary;
    this.directory = temporary.path;
    this.#ca = ca;
    this.#server = createServer(async (request, response) => {
      this.#open.add(response);
      response.once('close', () => this.#open.delete(response));
      const { method = '', url: path = '', headers } = request;
      this.calls.push(`${method} ${path}`);
      const body = await buffer(request).catch(() => Buffer.alloc(0)); // The client went away.
      const index = this.#misspoken.findIndex((each) => each.path.test(path));
      const [wrong] = index < 0 ? [] : this.#misspoken.splice(index, 1);
      if (wrong?.reply === 'hang') return this.#hanging.resolve();
      if (wrong?.reply === 'slow') await sleepFor(slowMs);
      // A fault of the double must be seen as one, not as a CA that is silent.
      const reply =
        typeof wrong?.reply === 'object'
          ? wrong.reply
          : await handle({ method, path, headers, body }).catch((error: unknown) => ({
              status: 418,
              body: `fault of the double: ${error instanceof Error ? error.stack : error}`,
            }));
      send(response, reply);
    });
  }

  static async start(handle: (received: Received) => Promise<Reply>): Promise<SigningServer> {
    const temporary = await memoryDirectory();
    const context = connectContext(temporary.path);
    const options = localCa.options.parse({ directory: './ca' });
    const server = new SigningServer(
      temporary,
      await localCa.connect(options, context, never),
      handle,
    );
    await once(server.#server.listen(0, '127.0.0.1'), 'listening');
    return server;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('Not listening.');
    return `http://127.0.0.1:${address.port}`;
  }

  /** The next request for such a path gets this answer, or none, or its own after a while. */
  misspeak(path: RegExp, reply: Reply | 'hang' | 'slow'): void {
    this.#misspoken.push({ path, reply });
  }

  hang(path: RegExp): { reached(): Promise<void> } {
    this.#hanging = Promise.withResolvers();
    this.misspeak(path, 'hang');
    return { reached: () => this.#hanging.promise };
  }

  /** Certificates in PEM, the end-entity's first, for a PKCS#10 request and what the server makes of it. */
  async sign(csr: Uint8Array, wanted: RequestedCertificate): Promise<string[]> {
    const { subjectPublicKeyInfo } = readCertificationRequest(csr);
    const answer = await this.#ca.issue(
      {
        requestId: randomBytes(16).toString('hex'),
        processId: 'double',
        keyType: 'ec',
        subject: { kind: 'device' },
        subjectPublicKeyInfo,
        csr,
        wanted,
      },
      never,
    );
    if (answer.kind !== 'issued') throw new Error(JSON.stringify(answer));
    return [answer.certificate, ...answer.chain].map((der) => encodePem('CERTIFICATE', der));
  }

  /** @param certificate DER. */
  async revoke(certificate: Uint8Array, reason: RevocationReason): Promise<void> {
    await this.#ca.revoke?.(certificate, reason, never);
  }

  async roots(): Promise<Uint8Array[]> {
    return readCertificates(await readFile(join(this.directory, 'ca/root.pem')));
  }

  async issuing(): Promise<string> {
    return readFile(join(this.directory, 'ca/issuing.pem'), 'utf8');
  }

  /** What every harness over this server has. */
  harness(given: Omit<AdapterHarness, 'roots' | 'leftovers' | typeof Symbol.asyncDispose>) {
    return {
      ...given,
      roots: () => this.roots(),
      leftovers: async () => [...this.#open].map((response) => `request ${response.req.url}`),
      [Symbol.asyncDispose]: () => this[Symbol.asyncDispose](),
    } satisfies AdapterHarness;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await this.#ca[Symbol.asyncDispose]();
    await this.#temporary[Symbol.asyncDispose]();
  }
}

/** DER of the only block. */
export function derOf(pem: string, label: string): Uint8Array {
  const [block] = decodePem(pem, label);
  if (block === undefined) throw new Error(`There is no ${label}.`);
  return block.der;
}

function send(response: ServerResponse, { status, headers = {}, body = '' }: Reply): void {
  const type = typeof body === 'string' ? {} : { 'content-type': 'application/json' };
  response.writeHead(status, { ...type, ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}
