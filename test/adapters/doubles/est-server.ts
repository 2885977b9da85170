import { timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { contextTag, tag } from '../../../src/x509/der.ts';
import { encode, encodeOid, encodeSetOf } from '../../../src/x509/encode-der.ts';
import { encodePem } from '../../../src/x509/pem.ts';
import { DoubleCa, small } from './est-cmp-ca.ts';

/*
 * An EST server that takes only what RFC 7030 allows, and names the section when it refuses. The next enrolment
 * can be made to go wrong: each word of the script is used up by one POST.
 */

export interface CsrAttributesAnswer {
  readonly status: number;
  readonly type?: string;
  readonly body: string;
}

export type EstWord =
  | 'serve'
  | 'pend'
  | 'hang'
  | 'drop'
  | 'garbage'
  | 'truncated'
  | 'wrong-key'
  | 'large'
  | 'pem'
  | 'der'
  | 'unwrapped'
  | 'ber'
  | 'with-chain'
  | {
      readonly status: number;
      readonly text?: string;
      readonly headers?: Readonly<Record<string, string>>;
    };

export interface EstServer extends AsyncDisposable {
  readonly url: string;
  readonly ca: DoubleCa;
  readonly script: EstWord[];
  /** Bodies of all POSTs, as they came. */
  readonly posts: string[];
  /** DER of CsrAttrs, or an answer as it is; undefined answers 204. */
  csrAttributes: Uint8Array | CsrAttributesAnswer | undefined;
  /** Where a path has moved to, if it has. */
  moved: ((path: string) => string | undefined) | undefined;
  /** Resolves when a POST hangs. */
  hanging(): Promise<void>;
  openSockets(): number;
}

export interface EstServerOptions {
  readonly label?: string;
  readonly username: string;
  readonly password: string;
}

export async function startEstServer(options: EstServerOptions): Promise<EstServer> {
  const ca = new DoubleCa();
  const own = ca.credentials('ec', 'localhost', ['1.3.6.1.5.5.7.3.1']);
  const sockets = new Set<Duplex>();
  const hanging = Promise.withResolvers<void>();
  const state: EstState = {
    ca,
    options,
    script: [],
    posts: [],
    attributes: undefined,
    moved: undefined,
    hanging,
  };
  const server = createServer(
    {
      cert: own.certificatePem,
      key: own.keyPem,
      requestCert: true,
      rejectUnauthorized: false,
      ca: encodePem('CERTIFICATE', ca.root),
    },
    (request, response) => {
      answer(state, request, response).catch((error: unknown) => response.destroy(error as Error));
    },
  );
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: `https://localhost:${address.port}`,
    ca,
    script: state.script,
    posts: state.posts,
    get csrAttributes() {
      return state.attributes;
    },
    set csrAttributes(der) {
      state.attributes = der;
    },
    get moved() {
      return state.moved;
    },
    set moved(where) {
      state.moved = where;
    },
    hanging: () => hanging.promise,
    openSockets: () => sockets.size,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

interface EstState {
  readonly ca: DoubleCa;
  readonly options: EstServerOptions;
  readonly script: EstWord[];
  readonly posts: string[];
  attributes: Uint8Array | CsrAttributesAnswer | undefined;
  moved: ((path: string) => string | undefined) | undefined;
  readonly hanging: PromiseWithResolvers<void>;
}

async function answer(state: EstState, request: IncomingMessage, response: ServerResponse) {
  const { label } = state.options;
  const base = `/.well-known/est/${label === undefined ? '' : `${label}/`}`;
  const { url = '', method } = request;
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const say = (status: number, text: string, headers: Record<string, string> = {}) =>
    response.writeHead(status, { 'content-type': 'text/plain', ...headers }).end(text);
  const location = state.moved?.(url);
  if (location !== undefined) return say(307, 'moved', { location });
  if (!url.startsWith(base)) return say(404, 'unknown label or path (RFC 7030 3.2.2)');
  switch (`${method} ${url.slice(base.length)}`) {
    case 'GET cacerts':
      return certsOnly(response, lines(pkcs7([state.ca.issuing, state.ca.root])));
    case 'GET csrattrs':
      if (state.attributes === undefined) return response.writeHead(204).end();
      if (!(state.attributes instanceof Uint8Array)) {
        const { status, body, type = 'application/csrattrs' } = state.attributes;
        return response.writeHead(status, { 'content-type': type }).end(body);
      }
      response.writeHead(200, { 'content-type': 'application/csrattrs' });
      return response.end(lines(state.attributes));
    case 'POST simpleenroll':
      return enroll(state, request, Buffer.concat(chunks).toString('latin1'), response, say);
    default:
      return say(405, 'no such operation (RFC 7030 3.2.2)');
  }
}

type Say = (status: number, text: string, headers?: Record<string, string>) => unknown;

function enroll(
  state: EstState,
  request: IncomingMessage,
  body: string,
  response: ServerResponse,
  say: Say,
): unknown {
  if (!isAuthorized(state.options, request)) {
    return say(401, 'who are you? (RFC 7030 3.2.3)', {
      'www-authenticate': 'Basic realm="estrealm"',
    });
  }
  state.posts.push(body);
  if (request.headers['content-type'] !== 'application/pkcs10') {
    return say(415, 'not application/pkcs10 (RFC 7030 4.2.1)');
  }
  if (request.headers['content-transfer-encoding'] !== 'base64') {
    return say(400, 'no Content-Transfer-Encoding: base64 (RFC 7030 4.2.1)');
  }
  if (body.split('\r\n').some((line) => !/^[A-Za-z0-9+/=]{0,76}$/.test(line))) {
    return say(400, 'not base64 in lines of at most 76 columns (RFC 2045 6.8)');
  }
  const csr = Buffer.from(body, 'base64');
  let leaf: Uint8Array;
  try {
    leaf = state.ca.certify(csr);
  } catch (error) {
    return say(400, `a bad CSR (RFC 7030 4.2.1): ${error}`);
  }
  const word = state.script.shift() ?? 'serve';
  if (typeof word === 'object') {
    return say(word.status, word.text ?? '', word.headers);
  }
  if (word === 'hang') return state.hanging.resolve();
  if (word === 'drop') return response.destroy();
  if (word === 'pend') return say(202, 'an officer looks at it', { 'retry-after': '1' });
  return certsOnly(response, bodyFor(word, state.ca, leaf));
}

function bodyFor(word: string, ca: DoubleCa, leaf: Uint8Array): string | Uint8Array {
  const whole = pkcs7([leaf]);
  switch (word) {
    case 'garbage':
      return '<html>Welcome</html>';
    case 'truncated':
      return lines(whole.subarray(0, whole.length - 20));
    case 'wrong-key':
      return lines(pkcs7([ca.issuing]));
    case 'large':
      return 'A'.repeat(2 * 1024 * 1024);
    case 'pem':
      return encodePem('PKCS7', whole);
    case 'der':
      return whole;
    case 'unwrapped':
      return Buffer.from(whole).toString('base64');
    case 'ber':
      return lines(pkcs7Ber([ca.issuing, leaf]));
    case 'with-chain':
      return lines(pkcs7([ca.root, ca.issuing, leaf]));
    default:
      return lines(whole);
  }
}

function isAuthorized({ username, password }: EstServerOptions, request: IncomingMessage): boolean {
  if ((request.socket as TLSSocket).authorized) return true;
  const wanted = Buffer.from(`Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`);
  const given = Buffer.from(request.headers.authorization ?? '');
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

function certsOnly(response: ServerResponse, body: string | Uint8Array) {
  response.writeHead(200, {
    'content-type': 'application/pkcs7-mime; smime-type=certs-only',
    'content-transfer-encoding': 'base64',
  });
  return response.end(body);
}

function lines(der: Uint8Array): string {
  return `${Buffer.from(der).toString('base64').replace(/.{76}/g, '$&\r\n')}\r\n`;
}

const idData = encode(tag.sequence, encodeOid('1.2.840.113549.1.7.1'));
const idSignedData = encodeOid('1.2.840.113549.1.7.2');

/** Certs-only (RFC 5272 4.1). */
export function pkcs7(certificates: readonly Uint8Array[]): Uint8Array {
  const data = encode(
    tag.sequence,
    small(1),
    encode(tag.set),
    idData,
    encodeSetOf(certificates, contextTag(0, 'constructed')),
    encode(tag.set),
  );
  return encode(tag.sequence, idSignedData, encode(contextTag(0, 'constructed'), data));
}

/** The same as some Java servers write it: indefinite lengths around the certificates. */
export function pkcs7Ber(certificates: readonly Uint8Array[]): Uint8Array {
  const end = Uint8Array.of(0, 0);
  const open = (openTag: number, ...parts: readonly Uint8Array[]) =>
    Buffer.concat([Uint8Array.of(openTag, 0x80), ...parts, end]);
  const data = open(
    tag.sequence,
    small(1),
    encode(tag.set),
    open(tag.sequence, encodeOid('1.2.840.113549.1.7.1')),
    open(0xa0, ...certificates),
    encode(tag.set),
  );
  return open(tag.sequence, idSignedData, open(0xa0, data));
}
