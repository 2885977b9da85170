import 'reflect-metadata';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import * as x509 from '@peculiar/x509';

/*
 * The CA of this example: a small one that keeps its protocol, and misbehaves when a test asks it to. Not for
 * production: its keys live and die with the process.
 */

/** What the CA does with the next order, a word each; without one it serves. */
export type Word = 'wait' | 'refuse' | 'fail' | 'garbage' | 'hang' | 'slow';

interface Order {
  readonly id: string;
  /** PEM. */
  readonly csr: string;
  readonly days: number;
  /** `short` certifies the common name and the first alternative name alone. */
  readonly profile?: string;
}

type KeyPair = Awaited<ReturnType<typeof newKeys>>;

const dayMs = 86_400_000;
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const newKeys = () => crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);

export class FakeCa implements AsyncDisposable {
  readonly token = `t0ken-${crypto.randomUUID()}`;
  readonly #keys: KeyPair;
  readonly #certificate: x509.X509Certificate;
  readonly #server: Server;
  readonly #orders = new Map<string, Order>();
  readonly #issued = new Map<string, Promise<string>>();
  readonly #revoked = new Set<string>();
  readonly #hanging = new Set<Socket>();
  readonly #reached = Promise.withResolvers<void>();
  #script: Word[] = [];

  private constructor(keys: KeyPair, certificate: x509.X509Certificate) {
    this.#keys = keys;
    this.#certificate = certificate;
    this.#server = createServer(async (request, response) => {
      try {
        if (request.headers.authorization !== `Bearer ${this.token}`) return send(response, 401);
        const body = request.method === 'POST' ? await json(request) : undefined;
        const [, room = '', id = ''] = (request.url ?? '').split('/');
        if (room === 'status') return send(response, 200, { ok: true });
        if (room === 'revocations') return this.#revoke(body as { serialNumber: string }, response);
        const order = room === 'orders' ? this.#order(body, id) : undefined;
        return order === undefined ? send(response, 404) : await this.#serve(order, response);
      } catch (error) {
        return send(response, 400, { problem: String(error) });
      }
    });
  }

  static async start(): Promise<FakeCa> {
    const keys = await newKeys();
    const root = await x509.X509CertificateGenerator.createSelfSigned({
      name: 'CN=My CA - NOT FOR PRODUCTION',
      keys,
      notAfter: new Date(Date.now() + 365 * dayMs),
      signingAlgorithm: algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      ],
    });
    const ca = new FakeCa(keys, root);
    ca.#server.listen(0, '127.0.0.1');
    await once(ca.#server, 'listening');
    return ca;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  /** DER. */
  get root(): Uint8Array {
    return new Uint8Array(this.#certificate.rawData);
  }

  /** How many certificates it has made. */
  get issued(): number {
    return this.#issued.size;
  }

  /** Tells it what to do with the next orders and the next questions after them. */
  script(...words: Word[]): void {
    this.#script = words;
  }

  /** Resolves when an order hangs. */
  reached(): Promise<void> {
    return this.#reached.promise;
  }

  /** Requests that hang and that the client still holds. */
  get held(): string[] {
    return [...this.#hanging].map(({ remotePort }) => `a request from port ${remotePort}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  #order(body: unknown, id: string): Order | undefined {
    if (body === undefined) return this.#orders.get(decodeURIComponent(id));
    const order = body as Order;
    this.#orders.set(order.id, order);
    return order;
  }

  async #serve(order: Order, response: ServerResponse): Promise<void> {
    const word = this.#script.shift();
    switch (word) {
      case 'wait':
        return send(response, 202, { state: 'waiting', order: order.id, seconds: 0.05 });
      case 'refuse':
        return send(response, 200, { state: 'refused', why: 'Not on the list.' });
      case 'fail':
        return send(response, 503, { problem: `No database for ${this.token}.` });
      case 'garbage':
        return send(response, 200, { state: 'issued', pem: 'soon' });
      case 'hang': {
        const { socket } = response;
        if (socket !== null) this.#hanging.add(socket);
        socket?.once('close', () => this.#hanging.delete(socket));
        return this.#reached.resolve();
      }
      case 'slow':
        await sleep(300);
    }
    const made = this.#issued.get(order.id) ?? this.#certify(order);
    this.#issued.set(order.id, made);
    send(response, 200, {
      state: 'issued',
      pem: `${this.#certificate.toString('pem')}\n${await made}`,
    });
  }

  async #certify({ csr, days, profile }: Order): Promise<string> {
    const request = new x509.Pkcs10CertificateRequest(csr);
    if (!(await request.verify())) throw new Error('The CSR is not signed by its key.');
    const isShort = profile === 'short';
    const [name] = request.subjectName.getField('CN');
    const certificate = await x509.X509CertificateGenerator.create({
      subject: isShort ? [{ CN: [name ?? ''] }] : request.subjectName.toJSON(),
      issuer: this.#certificate.subject,
      notBefore: new Date(Date.now() - 60_000),
      notAfter: new Date(Date.now() + days * dayMs),
      publicKey: request.publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: algorithm,
      extensions: request.extensions.map((one) => (isShort ? shortened(one) : one)),
    });
    return certificate.toString('pem');
  }

  #revoke({ serialNumber }: { serialNumber: string }, response: ServerResponse): void {
    const before = this.#revoked.has(serialNumber);
    this.#revoked.add(serialNumber);
    send(response, before ? 409 : 200, { state: 'revoked' });
  }
}

function shortened(extension: x509.Extension): x509.Extension {
  if (!(extension instanceof x509.SubjectAlternativeNameExtension)) return extension;
  return new x509.SubjectAlternativeNameExtension(extension.names.toJSON().slice(0, 1));
}

function send(response: ServerResponse, status: number, body: object = {}): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
