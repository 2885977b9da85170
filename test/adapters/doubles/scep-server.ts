import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { setTimeout as sleepFor } from 'node:timers/promises';
import * as pkijs from 'pkijs';
import { readCertificationRequest } from '../../../src/request/read-certification-request.ts';
import { readCertificate } from '../../../src/x509/certificate.ts';
import { DerReader, tag } from '../../../src/x509/der.ts';
import { encodePem } from '../../../src/x509/pem.ts';
import {
  certificateBag,
  certRep,
  envelopeFor,
  type OpenedMessage,
  openMessage,
  type Reply,
  StrictError,
  toArrayBuffer,
} from './scep-cms.ts';
import { type Identity, type ScepPki, scepPki } from './scep-pki.ts';
import { slowMs } from './slow.ts';

/*
 * A SCEP server by RFC 8894: capabilities (3.5.2), an RA with two certificates (4.2), PKCSReq (3.3.1),
 * CertPoll (3.3.3), CertRep (3.3.2), and NDES's page of challenges. What the RFC does not allow is refused
 * and noted in `complaints`. `script` says how it misbehaves with the next messages.
 */

export type Move =
  | 'serve'
  | 'pend'
  | 'hang'
  | 'slow'
  | 'garbage'
  | 'wrong nonce'
  | 'no nonce'
  | 'wrong transaction'
  | 'other signer'
  | 'other type'
  | 'other key'
  | 'no certificate'
  | 'not for us'
  | 'status 11'
  | { readonly fail: string; readonly text?: string }
  | {
      readonly http: number;
      readonly body?: string;
      readonly headers?: Readonly<Record<string, string>>;
    };

export interface ScepDoubleOptions {
  readonly secure?: boolean;
  readonly capabilities?: string | number;
  readonly challenge?: string;
  /** Content encryption of replies: single DES, as real servers have it, unless another is given. */
  readonly replyCipher?: string;
  /** GetCACert gives the CA alone, which then does everything. */
  readonly single?: boolean;
  readonly refuses?: 'POST';
  readonly ndesPage?: (challenge: string) => Buffer | number;
}

const des = '1.3.14.3.2.7';
const unknownOrder = 'unknown order';
const standard = 'AES\r\nDES3\r\nSHA-1\r\nSHA-256\r\nPOSTPKIOperation\r\nSCEPStandard\r\n';
export const ndesUser = { name: 'EXAMPLE\\scep', password: 'ndes-pässword' };

export class ScepDouble implements AsyncDisposable {
  script: Move[] = [];
  /** Done to every reply. */
  damage: ((reply: Buffer) => Buffer) | undefined;
  /** How requests broke the RFC. */
  readonly complaints: string[] = [];
  /** Messages in the order of their arrival. */
  readonly seen: (OpenedMessage & { readonly method: string })[] = [];
  readonly operations: string[] = [];
  readonly challenges = new Set<string>();
  readonly pki: ScepPki;
  /** The RA's certificates, which can be renewed. */
  encryption: Identity;
  signature: Identity;
  /** Put first among the certificates of GetCACert. */
  inserted: readonly Identity[] = [];
  readonly #options: ScepDoubleOptions;
  readonly #server: Server;
  readonly #hanging = new Set<ServerResponse>();
  readonly #orders = new Map<string, Uint8Array>();
  #challengesGiven = 0;
  #reached = Promise.withResolvers<void>();

  private constructor(options: ScepDoubleOptions) {
    this.#options = options;
    this.pki = scepPki();
    this.encryption = options.single ? this.pki.ca : this.pki.encryption;
    this.signature = options.single ? this.pki.ca : this.pki.signature;
    const answer = (request: IncomingMessage, response: ServerResponse) => {
      this.#answer(request, response).catch((error: unknown) => {
        this.complaints.push(String(error));
        response.writeHead(500).end(String(error));
      });
    };
    const { tls } = this.pki;
    this.#server = options.secure
      ? createHttpsServer(
          {
            cert: encodePem('CERTIFICATE', tls.certificate),
            key: tls.key.export({ type: 'pkcs8', format: 'pem' }),
          },
          answer,
        )
      : createHttpServer(answer);
  }

  static async start(options: ScepDoubleOptions = {}): Promise<ScepDouble> {
    const double = new ScepDouble(options);
    double.#server.listen(0, '127.0.0.1');
    await once(double.#server, 'listening');
    return double;
  }

  get origin(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('not listening');
    const host = this.#options.secure ? 'https://localhost' : 'http://127.0.0.1';
    return `${host}:${address.port}`;
  }

  get url(): string {
    return `${this.origin}/certsrv/mscep/mscep.dll`;
  }

  get fingerprint(): string {
    return fingerprintOf(this.pki.ca.certificate);
  }

  /** Requests that it has not answered and whose caller is still there. */
  get hanging(): number {
    return this.#hanging.size;
  }

  /** Resolves when a message has come to hang. */
  reached(): Promise<void> {
    return this.#reached.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.origin);
    if (url.pathname === '/certsrv/mscep_admin/') return this.#adminPage(request, response);
    const operation = url.searchParams.get('operation') ?? '';
    this.operations.push(operation);
    switch (operation) {
      case 'GetCACaps': {
        const { capabilities = standard } = this.#options;
        if (typeof capabilities === 'number') response.writeHead(capabilities).end();
        else response.end(capabilities);
        return;
      }
      case 'GetCACert': {
        const { ca } = this.pki;
        const all = [...this.inserted, this.encryption, this.signature, ca].map(
          ({ certificate }) => certificate,
        );
        response.end(this.#options.single ? ca.certificate : certificateBag(all));
        return;
      }
      case 'PKIOperation': {
        const { method = '' } = request;
        if (method === 'POST' && this.#options.refuses === 'POST') {
          response.writeHead(405).end();
          return;
        }
        const body =
          method === 'POST'
            ? await bodyOf(request)
            : Buffer.from(url.searchParams.get('message') ?? '', 'base64');
        return this.#operate(method, body, response);
      }
      default:
        response.writeHead(400).end('unknown operation');
    }
  }

  #adminPage(request: IncomingMessage, response: ServerResponse): void {
    const credentials = Buffer.from(`${ndesUser.name}:${ndesUser.password}`).toString('base64');
    if (request.headers.authorization !== `Basic ${credentials}`) {
      response.writeHead(401).end();
      return;
    }
    const challenge = Buffer.from(`challenge ${this.#challengesGiven}`)
      .toString('hex')
      .toUpperCase();
    const page = this.#options.ndesPage?.(challenge) ?? 404;
    if (typeof page === 'number') {
      response.writeHead(page).end();
      return;
    }
    this.challenges.add(challenge);
    this.#challengesGiven += 1;
    response.end(page);
  }

  async #operate(method: string, body: Buffer, response: ServerResponse): Promise<void> {
    let message: OpenedMessage;
    try {
      message = await openMessage(body, this.encryption, this.pki.ca);
    } catch (error) {
      this.complaints.push(String(error));
      response.writeHead(400).end(error instanceof StrictError ? error.message : 'unreadable');
      return;
    }
    this.seen.push({ ...message, method });
    const move = this.script.shift() ?? 'serve';
    if (move === 'hang') {
      this.#hanging.add(response);
      response.once('close', () => this.#hanging.delete(response));
      this.#reached.resolve();
      return;
    }
    if (move === 'slow') await sleepFor(slowMs);
    if (typeof move === 'object' && 'http' in move) {
      response.writeHead(move.http, move.headers).end(move.body);
      return;
    }
    if (move === 'garbage') {
      response.end('<html>Welcome to IIS</html>');
      return;
    }
    const signer = move === 'other signer' ? this.pki.stranger : this.signature;
    response.setHeader('content-type', 'application/x-pki-message');
    const reply = await certRep(this.#reply(message, move), signer);
    response.end(this.damage?.(reply) ?? reply);
  }

  #reply(message: OpenedMessage, move: Exclude<Move, { http: number }>): Reply {
    const { transactionId, senderNonce } = message;
    const about = {
      transactionId: move === 'wrong transaction' ? 'another' : transactionId,
      recipientNonce:
        move === 'no nonce'
          ? undefined
          : move === 'wrong nonce'
            ? new ArrayBuffer(16)
            : senderNonce,
      ...(move === 'other type' ? { messageType: '19' } : {}),
    };
    const fail = (failInfo: string, failInfoText?: string): Reply => ({
      ...about,
      status: '2',
      failInfo,
      ...(failInfoText === undefined ? {} : { failInfoText }),
    });
    if (message.content === undefined) return fail('1');
    if (typeof move === 'object') return fail(move.fail, move.text);
    if (move === 'status 11') return { ...about, status: '11' };
    const csr = this.#requestOf(message);
    if (csr === unknownOrder) return fail('4', csr);
    if (typeof csr === 'string') {
      this.complaints.push(csr);
      return fail('2', csr);
    }
    this.#orders.set(transactionId, csr);
    if (move === 'pend') return { ...about, status: '3' };
    const { signer } = message;
    const recipient =
      move === 'not for us'
        ? pkijs.Certificate.fromBER(toArrayBuffer(this.pki.signature.certificate))
        : signer;
    const bag = certificateBag(this.#certificates(csr, move));
    const { replyCipher = des } = this.#options;
    return { ...about, status: '0', content: envelopeFor(bag, recipient, replyCipher) };
  }

  /** The leaf is not the first. */
  #certificates(csr: Uint8Array, move: Move): Uint8Array[] {
    const { ca, signature, issue } = this.pki;
    if (move === 'no certificate') return [ca.certificate];
    const { subjectPublicKeyInfo, extensions } = readCertificationRequest(csr);
    const otherKey = readCertificate(signature.certificate).subjectPublicKeyInfo;
    const leaf = issue({
      subject: subjectIn(csr),
      subjectPublicKeyInfo: move === 'other key' ? otherKey : subjectPublicKeyInfo,
      extensions,
    });
    return [ca.certificate, leaf];
  }

  /** The CSR that a message brings or asks after, or what is wrong with it. */
  #requestOf({ messageType, content, transactionId }: OpenedMessage): Uint8Array | string {
    if (content === undefined) return 'no content';
    if (messageType === '19') {
      readCertificationRequest(content);
      const given = challengeOf(content);
      const { challenge } = this.#options;
      const right = challenge === undefined || given === challenge;
      return right || this.challenges.delete(given ?? '') ? content : 'wrong challenge password';
    }
    const csr = this.#orders.get(transactionId);
    if (messageType !== '20' || csr === undefined) return unknownOrder;
    const asked = Buffer.from(content);
    const names = new DerReader(asked, 'IssuerAndSubject').into('IssuerAndSubject');
    const issuer = names.next(tag.sequence).bytes;
    const subject = names.next(tag.sequence).bytes;
    names.finish();
    const ours = readCertificate(this.pki.ca.certificate).issuer;
    const same =
      Buffer.compare(issuer, ours) === 0 && Buffer.compare(subject, subjectIn(csr)) === 0;
    return same ? csr : '3.3.3: not the names of the order';
  }
}

function fingerprintOf(der: Uint8Array): string {
  return new X509Certificate(der).fingerprint256;
}

function subjectIn(csr: Uint8Array): Uint8Array {
  const info = new DerReader(csr, 'The CSR').into('The CSR').into('The CSR');
  info.next(tag.integer);
  return info.next(tag.sequence).bytes;
}

function challengeOf(csr: Uint8Array): string | undefined {
  const request = pkijs.CertificationRequest.fromBER(toArrayBuffer(csr));
  const found = request.attributes?.find(({ type }) => type === '1.2.840.113549.1.9.7');
  return found?.values[0]?.getValue();
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece);
  return Buffer.concat(pieces);
}
