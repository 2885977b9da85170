import {
  createHash,
  createHmac,
  pbkdf2Sync,
  randomBytes,
  sign,
  verify,
  X509Certificate,
} from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  contextTag,
  DerReader,
  readOid,
  readSingle,
  readSmallInteger,
  tag,
} from '../../../src/x509/der.ts';
import { encode, encodeBitString, encodeOid, encodeText } from '../../../src/x509/encode-der.ts';
import type { Credentials, DoubleCa } from './est-cmp-ca.ts';
import { small } from './est-cmp-ca.ts';

/*
 * A CMP server that takes only what RFC 9810 and RFC 9483 allow, and names the section when it refuses. It shares
 * no code with the adapter but the DER primitives. Each word of the script is used up by one p10cr.
 */

export type CmpWord =
  | 'serve'
  | 'pend'
  | 'pend-then-reject'
  | 'pend-whole'
  | 'hang'
  | 'drop'
  | 'garbage'
  | 'unprotected'
  | 'bad-mac'
  | 'other-transaction'
  | 'other-nonce'
  | 'wrong-key'
  | 'no-certificate'
  | 'grant-implicit'
  | 'cert-req-id-0'
  | 'lose-confirmation'
  | 'lose-confirmation-answer'
  | {
      readonly http: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    }
  | { readonly failures: readonly number[]; readonly as: 'cp' | 'error'; readonly text?: string };

export interface CmpServerOptions {
  readonly ca: DoubleCa;
  readonly reference: string;
  readonly secret: string;
  /** Answers to signed requests are signed with this; those to a MAC carry a MAC. */
  readonly signer: Credentials;
  /** DER: a registration authority's certificate. */
  readonly client: Uint8Array;
}

export interface CmpServer extends AsyncDisposable {
  readonly url: string;
  readonly script: CmpWord[];
  /** Body types of all requests. */
  readonly requests: number[];
  /** Transactions whose certificate was confirmed. */
  readonly confirmed: Set<string>;
  /** Why requests were refused. */
  readonly refusals: string[];
  readonly profiles: string[];
  /** Answers to a MAC carry PBMAC1 with a key of so many bytes, whatever the request used. */
  keyBytes?: number;
  /** Those who cannot be authenticated get an error that is protected with the server's own secret. */
  protectsRefusals?: boolean;
  /** Loses all open transactions. */
  forget(): void;
  hanging(): Promise<void>;
  openSockets(): number;
}

interface Transaction {
  readonly leaf: Uint8Array;
  readonly certReqId: number;
  readonly word: CmpWord;
  polls: number;
  nonce: Uint8Array;
  lost: boolean;
}

interface State {
  readonly options: CmpServerOptions;
  readonly open: Map<string, Transaction>;
  readonly script: CmpWord[];
  readonly requests: number[];
  readonly confirmed: Set<string>;
  readonly revoked: Set<string>;
  readonly refusals: string[];
  readonly profiles: string[];
  readonly hanging: PromiseWithResolvers<void>;
  keyBytes?: number;
  protectsRefusals?: boolean;
}

export async function startCmpServer(options: CmpServerOptions): Promise<CmpServer> {
  const sockets = new Set<Duplex>();
  const state: State = {
    options,
    open: new Map(),
    script: [],
    requests: [],
    confirmed: new Set(),
    revoked: new Set(),
    refusals: [],
    profiles: [],
    hanging: Promise.withResolvers<void>(),
  };
  const server = createServer((request, response) => {
    serve(state, request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: `http://127.0.0.1:${address.port}/.well-known/cmp/p/wifi`,
    set keyBytes(bytes: number) {
      state.keyBytes = bytes;
    },
    set protectsRefusals(does: boolean) {
      state.protectsRefusals = does;
    },
    script: state.script,
    requests: state.requests,
    confirmed: state.confirmed,
    refusals: state.refusals,
    profiles: state.profiles,
    forget: () => state.open.clear(),
    hanging: () => state.hanging.promise,
    openSockets: () => sockets.size,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function serve(state: State, request: IncomingMessage, response: ServerResponse) {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  if (request.method !== 'POST') return response.writeHead(405).end();
  if (request.headers['content-type'] !== 'application/pkixcmp') {
    return response.writeHead(415).end('not application/pkixcmp (RFC 9811 3.4)');
  }
  const send = (der: Uint8Array | string) =>
    response.writeHead(200, { 'content-type': 'application/pkixcmp' }).end(der);
  let asked: Asked | undefined;
  try {
    asked = read(Buffer.concat(chunks));
    checkProtection(asked, state.options);
  } catch (error) {
    // Whoever cannot be authenticated gets an unprotected error (RFC 9483 3.6.4).
    state.refusals.push(String(error));
    const status = statusInfo(2, String(error), [1]);
    if (asked !== undefined && state.protectsRefusals === true) {
      const content = encode(tag.sequence, status);
      return send(protect(asked, { type: 23, content, nonce: randomBytes(16) }, state));
    }
    return send(encode(tag.sequence, plainHeader(), body(23, encode(tag.sequence, status))));
  }
  state.requests.push(asked.type);
  const answer = answerTo(state, asked);
  if (answer === 'hang') return state.hanging.resolve();
  if (answer === 'drop') return response.destroy();
  if (answer === 'garbage') return send('<html>Welcome</html>');
  if ('http' in answer)
    return response.writeHead(answer.http, answer.headers).end(answer.body ?? 'busy');
  return send(protect(asked, answer, state));
}

interface Answer {
  readonly type: number;
  readonly content: Uint8Array;
  readonly nonce: Uint8Array;
  readonly implicit?: boolean;
  readonly word?: CmpWord;
}

type Reaction =
  | Answer
  | 'hang'
  | 'drop'
  | 'garbage'
  | {
      readonly http: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    };

function answerTo(state: State, asked: Asked): Reaction {
  const nonce = randomBytes(16);
  const id = asked.transactionId.toString('hex');
  const refuse = (failure: number, text: string): Answer => {
    state.refusals.push(text);
    const content = encode(tag.sequence, statusInfo(2, text, [failure]));
    return { type: 23, content, nonce };
  };
  const known = state.open.get(id);
  if (known === undefined) {
    if (asked.recipNonce !== undefined) return refuse(13, 'recipNonce in a first message');
    switch (asked.type) {
      case 4:
        return certify(state, asked, id, nonce, refuse);
      case 11:
        return { type: 12, content: revoke(state, asked.content), nonce };
      case 21:
        return { type: 22, content: encode(tag.sequence), nonce };
      default:
        return refuse(2, 'no such transaction (RFC 9810 5.1.1)');
    }
  }
  if (asked.type === 4) return refuse(21, 'transactionID in use (RFC 9483 3.6.2)');
  if (asked.recipNonce?.equals(known.nonce) !== true)
    return refuse(13, 'recipNonce (RFC 9483 3.1)');
  if (asked.type === 25) return poll(state, asked, id, known, nonce, refuse);
  if (asked.type === 24) return confirm(state, asked, id, known, nonce, refuse);
  return refuse(2, `body ${asked.type} has no place here`);
}

type Refuse = (failure: number, text: string) => Answer;

function certify(state: State, asked: Asked, id: string, nonce: Buffer, refuse: Refuse): Reaction {
  state.profiles.push(...asked.profiles);
  let leaf: Uint8Array;
  try {
    leaf = state.options.ca.certify(asked.content);
  } catch (error) {
    return refuse(9, `badPOP (RFC 9483 4.1.4): ${error}`);
  }
  const word = state.script.shift() ?? 'serve';
  if (typeof word === 'object' && 'http' in word) return word;
  if (typeof word === 'object') {
    const info = statusInfo(2, word.text ?? 'the CA says no', word.failures);
    return word.as === 'error'
      ? { type: 23, content: encode(tag.sequence, info), nonce }
      : { type: 3, content: certResponse(-1, info), nonce };
  }
  if (word === 'hang' || word === 'drop' || word === 'garbage') return word;
  const certReqId = word === 'cert-req-id-0' ? 0 : -1;
  const known: Transaction = { leaf, certReqId, word, polls: 0, nonce, lost: false };
  if (word === 'pend-whole') {
    state.open.set(id, known);
    return { type: 23, content: encode(tag.sequence, statusInfo(3, 'later', [])), nonce };
  }
  if (word.startsWith('pend')) {
    state.open.set(id, known);
    return { type: 3, content: certResponse(-1, statusInfo(3, 'an officer looks', [])), nonce };
  }
  return issue(state, asked, id, known, nonce);
}

function issue(state: State, asked: Asked, id: string, known: Transaction, nonce: Buffer): Answer {
  const { word, certReqId, leaf } = known;
  const implicit = word === 'grant-implicit' && asked.implicitConfirm;
  known.nonce = nonce;
  const misspoken = ['unprotected', 'bad-mac', 'other-transaction', 'other-nonce'].includes(
    String(word),
  );
  if (implicit || misspoken) state.open.delete(id);
  else state.open.set(id, known);
  const given =
    word === 'no-certificate' ? undefined : word === 'wrong-key' ? state.options.ca.issuing : leaf;
  const content = certResponse(certReqId, statusInfo(0, '', []), given);
  return { type: 3, content, nonce, implicit, word };
}

function poll(
  state: State,
  asked: Asked,
  id: string,
  known: Transaction,
  nonce: Buffer,
  refuse: Refuse,
): Answer {
  const request = new DerReader(asked.content, 'PollReqContent').into('It').into('The entry');
  const certReqId = signed(request.next(tag.integer).content);
  if (certReqId !== known.certReqId) return refuse(2, 'certReqId (RFC 9483 4.4)');
  known.nonce = nonce;
  if (known.polls++ === 0) {
    const entry = encode(tag.sequence, small(certReqId), small(2));
    return { type: 26, content: encode(tag.sequence, entry), nonce };
  }
  if (known.word === 'pend-then-reject') {
    state.open.delete(id);
    return {
      type: 3,
      content: certResponse(-1, statusInfo(2, 'the officer said no', [15])),
      nonce,
    };
  }
  return issue(state, asked, id, known, nonce);
}

/** CertConfirmContent (RFC 9810 5.3.18). */
function confirm(
  state: State,
  asked: Asked,
  id: string,
  known: Transaction,
  nonce: Buffer,
  refuse: Refuse,
): Reaction {
  if (known.word === 'lose-confirmation' && !known.lost) {
    known.lost = true;
    return 'drop';
  }
  const status = new DerReader(asked.content, 'CertConfirmContent').into('It').into('CertStatus');
  const hash = createHash('sha256').update(known.leaf).digest();
  if (!hash.equals(status.next(tag.octetString).content))
    return refuse(4, 'certHash (RFC 9810 5.3.18)');
  if (signed(status.next(tag.integer).content) !== known.certReqId) {
    return refuse(2, 'certReqId (RFC 9810 5.3.18)');
  }
  state.open.delete(id);
  state.confirmed.add(id);
  if (known.word === 'lose-confirmation-answer') return 'drop';
  return { type: 19, content: encode(tag.null), nonce };
}

function revoke(state: State, content: Uint8Array): Uint8Array {
  const details = new DerReader(content, 'RevReqContent').into('It').into('RevDetails');
  const template = details.into('CertTemplate');
  const serial = Buffer.from(template.next(contextTag(1, 'primitive')).content).toString('hex');
  const issuer = readSingle(
    template.next(contextTag(3, 'constructed')).content,
    tag.sequence,
    'The issuer',
  );
  const ours = Buffer.compare(issuer.bytes, state.options.ca.signer.name) === 0;
  const again = state.revoked.has(serial);
  state.revoked.add(serial);
  const info = !ours
    ? statusInfo(2, 'not issued here', [4])
    : again
      ? statusInfo(2, 'revoked already', [10])
      : statusInfo(0, '', []);
  return encode(tag.sequence, encode(tag.sequence, info));
}

interface Asked {
  readonly part: Uint8Array;
  readonly algorithm: Uint8Array;
  readonly senderKeyId: Buffer;
  readonly sender: Uint8Array;
  readonly transactionId: Buffer;
  readonly senderNonce: Buffer;
  readonly recipNonce: Buffer | undefined;
  readonly implicitConfirm: boolean;
  readonly profiles: readonly string[];
  readonly type: number;
  readonly content: Uint8Array;
  readonly protection: Uint8Array;
  readonly extraCerts: readonly Uint8Array[];
}

/** PKIMessage (RFC 9810 5.1) with everything that RFC 9483 3.1 demands of a header. */
function read(der: Uint8Array): Asked {
  const whole = new DerReader(readSingle(der, tag.sequence, 'PKIMessage').content, 'PKIMessage');
  const headerElement = whole.next(tag.sequence);
  const bodyElement = whole.next();
  const protection = readSingle(whole.next(0xa0).content, tag.bitString, 'protection').content;
  const extra = whole.optional(0xa1);
  whole.finish();
  const header = new DerReader(headerElement.content, 'PKIHeader');
  const pvno = readSmallInteger(header.next(tag.integer));
  if (pvno !== 2) throw new Error(`pvno is ${pvno} (RFC 9483 3.1)`);
  const sender = header.next(0xa4).content;
  readSingle(header.next(0xa4).content, tag.sequence, 'recipient');
  const time = readSingle(header.next(0xa0).content, tag.generalizedTime, 'messageTime').content;
  if (!/^\d{14}Z$/.test(Buffer.from(time).toString()))
    throw new Error('messageTime (RFC 9483 3.1)');
  const algorithm = header.next(0xa1).content;
  const octets = (number: number) =>
    Buffer.from(readSingle(header.next(0xa0 | number).content, tag.octetString, 'a field').content);
  const senderKeyId = octets(2);
  const transactionId = octets(4);
  const senderNonce = octets(5);
  if (transactionId.length < 16 || senderNonce.length < 16)
    throw new Error('128 bits (RFC 9483 3.1)');
  const recipNonce = header.peek() === 0xa6 ? octets(6) : undefined;
  const info = header.optional(0xa8);
  header.finish();
  const { implicitConfirm, profiles } = readInfo(info?.content);
  const certificates: Uint8Array[] = [];
  if (extra !== undefined) {
    const list = new DerReader(extra.content, 'extraCerts').into('extraCerts');
    while (!list.done) certificates.push(list.next(tag.sequence).bytes);
  }
  return {
    part: encode(tag.sequence, headerElement.bytes, bodyElement.bytes),
    algorithm,
    senderKeyId,
    sender,
    transactionId,
    senderNonce,
    recipNonce,
    implicitConfirm,
    profiles,
    type: bodyElement.tag & 0x1f,
    content: bodyElement.content,
    protection: protection.subarray(1),
    extraCerts: certificates,
  };
}

function readInfo(der: Uint8Array | undefined) {
  let implicitConfirm = false;
  const profiles: string[] = [];
  if (der !== undefined) {
    const list = new DerReader(der, 'generalInfo').into('generalInfo');
    while (!list.done) {
      const one = list.into('InfoTypeAndValue');
      const type = readOid(one.next(tag.oid));
      if (type === '1.3.6.1.5.5.7.4.13') {
        one.next(tag.null);
        implicitConfirm = true;
      } else if (type === '1.3.6.1.5.5.7.4.21') {
        const text = one.into('CertProfileValue').next(tag.utf8String);
        profiles.push(Buffer.from(text.content).toString());
      }
    }
  }
  return { implicitConfirm, profiles };
}

const pbmOid = '1.2.840.113533.7.66.13';
const pbmac1Oid = '1.2.840.113549.1.5.14';

function algorithmOid(der: Uint8Array): string {
  return readOid(new DerReader(der, 'protectionAlg').into('protectionAlg').next(tag.oid));
}

function checkProtection(asked: Asked, { reference, secret, client }: CmpServerOptions): void {
  const oid = algorithmOid(asked.algorithm);
  if (oid === pbmOid || oid === pbmac1Oid) {
    if (asked.senderKeyId.toString() !== reference) throw new Error('unknown senderKID');
    if (!mac(asked.algorithm, secret, asked.part).equals(asked.protection)) {
      throw new Error('wrong protection (RFC 9810 5.1.3.1)');
    }
    return;
  }
  const [own] = asked.extraCerts;
  if (own === undefined || !Buffer.from(own).equals(client)) {
    throw new Error('the first of extraCerts is not the signer’s (RFC 9483 3.3)');
  }
  const certificate = new X509Certificate(own);
  if (!verify('sha256', asked.part, certificate.publicKey, asked.protection)) {
    throw new Error('wrong signature (RFC 9810 5.1.3.3)');
  }
}

/** PBM with whatever hash it names, and PBMAC1 with PBKDF2: both with HMAC-SHA256 here. */
function mac(algorithm: Uint8Array, secret: string, part: Uint8Array): Buffer {
  const identifier = new DerReader(algorithm, 'protectionAlg').into('protectionAlg');
  const oid = readOid(identifier.next(tag.oid));
  const parameters = identifier.into('The parameters');
  let key: Buffer;
  if (oid === pbmOid) {
    const salt = parameters.next(tag.octetString).content;
    const owf = readOid(parameters.into('owf').next(tag.oid));
    if (owf !== '2.16.840.1.101.3.4.2.1') throw new Error('owf is not SHA-256 (RFC 9481 6.1.1)');
    const count = readSmallInteger(parameters.next(tag.integer));
    if (count < 100) throw new Error('fewer than 100 iterations (RFC 9810 5.1.3.1)');
    key = Buffer.concat([Buffer.from(secret), salt]);
    for (let i = 0; i < count; i++) key = createHash('sha256').update(key).digest();
  } else {
    const kdf = parameters.into('kdf');
    if (readOid(kdf.next(tag.oid)) !== '1.2.840.113549.1.5.12') throw new Error('no PBKDF2');
    const inner = kdf.into('PBKDF2-params');
    const salt = inner.next(tag.octetString).content;
    const count = readSmallInteger(inner.next(tag.integer));
    const bytes = readSmallInteger(inner.next(tag.integer));
    // Of work that the adapter must refuse nothing is done here either: its MAC is a wrong one.
    key = bytes > 8_192 ? randomBytes(32) : pbkdf2Sync(secret, salt, count, bytes, 'sha256');
  }
  const hmac = readOid(parameters.into('mac').next(tag.oid));
  if (hmac !== '1.2.840.113549.2.9') throw new Error('the MAC is not HMAC-SHA256 (RFC 9481 6.2)');
  return createHmac('sha256', key).update(part).digest();
}

/** As the Siemens RA does: 10,000 iterations, a salt of 20 bytes, and parameters without NULL. */
function pbmac1(keyBytes: number): Uint8Array {
  const prf = encode(tag.sequence, encodeOid('1.2.840.113549.2.9'));
  const count = (value: number) =>
    encode(tag.integer, Uint8Array.of(0, value >> 16, value >> 8, value));
  const derivation = encode(
    tag.sequence,
    octetString(randomBytes(20)),
    encode(tag.integer, Uint8Array.of(0x27, 0x10)),
    keyBytes > 0x7fff
      ? count(keyBytes)
      : encode(tag.integer, Uint8Array.of(keyBytes >> 8, keyBytes)),
    prf,
  );
  const pbkdf2 = encode(tag.sequence, encodeOid('1.2.840.113549.1.5.12'), derivation);
  return encode(tag.sequence, encodeOid(pbmac1Oid), encode(tag.sequence, pbkdf2, prf));
}

function protect(asked: Asked, answer: Answer, { options, keyBytes }: State): Uint8Array {
  const { word } = answer;
  const isMac = [pbmOid, pbmac1Oid].includes(algorithmOid(asked.algorithm));
  const { signer, secret, ca } = options;
  const algorithm = isMac
    ? keyBytes === undefined
      ? asked.algorithm
      : pbmac1(keyBytes)
    : encode(tag.sequence, encodeOid('1.2.840.113549.1.1.11'), encode(tag.null));
  const subject = Buffer.from(subjectOf(signer.certificate));
  const header = encode(
    tag.sequence,
    small(2),
    encode(0xa4, isMac ? encode(tag.sequence) : subject),
    encode(0xa4, asked.sender),
    encode(0xa0, encodeText(tag.generalizedTime, '20260101000000Z')),
    ...(word === 'unprotected' ? [] : [encode(0xa1, algorithm)]),
    encode(0xa4, octetString(word === 'other-transaction' ? randomBytes(16) : asked.transactionId)),
    encode(0xa5, octetString(answer.nonce)),
    encode(0xa6, octetString(word === 'other-nonce' ? randomBytes(16) : asked.senderNonce)),
    ...(answer.implicit === true ? [encode(0xa8, encode(tag.sequence, implicitConfirm))] : []),
  );
  const bodyDer = body(answer.type, answer.content);
  const extra = encode(0xa1, encode(tag.sequence, signer.certificate, ca.issuing));
  if (word === 'unprotected') return encode(tag.sequence, header, bodyDer, extra);
  const part = encode(tag.sequence, header, bodyDer);
  const protection = isMac ? mac(algorithm, secret, part) : sign('sha256', part, signer.key);
  if (word === 'bad-mac') protection[0] = (protection[0] ?? 0) ^ 1;
  return encode(tag.sequence, header, bodyDer, encode(0xa0, encodeBitString(protection)), extra);
}

const implicitConfirm = encode(tag.sequence, encodeOid('1.3.6.1.5.5.7.4.13'), encode(tag.null));

function plainHeader(): Uint8Array {
  const nobody = encode(0xa4, encode(tag.sequence));
  return encode(tag.sequence, small(2), nobody, nobody);
}

/** PKIStatusInfo (RFC 9810 5.2.3). */
function statusInfo(status: number, text: string, failures: readonly number[]): Uint8Array {
  const bits = Buffer.alloc(5);
  bits[0] = 5;
  for (const bit of failures)
    bits[1 + (bit >> 3)] = (bits[1 + (bit >> 3)] ?? 0) | (0x80 >> (bit & 7));
  return encode(
    tag.sequence,
    small(status),
    ...(text === '' ? [] : [encode(tag.sequence, encodeText(tag.utf8String, text))]),
    ...(failures.length === 0 ? [] : [encode(tag.bitString, bits)]),
  );
}

/** CertRepMessage with one CertResponse (RFC 9810 5.3.4). */
function certResponse(certReqId: number, info: Uint8Array, certificate?: Uint8Array): Uint8Array {
  const pair = certificate === undefined ? [] : [encode(tag.sequence, encode(0xa0, certificate))];
  const response = encode(tag.sequence, small(certReqId), info, ...pair);
  return encode(tag.sequence, encode(tag.sequence, response));
}

function body(type: number, content: Uint8Array): Uint8Array {
  return encode(contextTag(type, 'constructed'), content);
}

function octetString(bytes: Uint8Array): Uint8Array {
  return encode(tag.octetString, bytes);
}

function signed(content: Uint8Array): number {
  return new Int8Array(content)[0] ?? 0;
}

function subjectOf(certificate: Uint8Array): Uint8Array {
  const tbs = new DerReader(certificate, 'A certificate').into('It').into('tbs');
  tbs.next();
  for (let i = 0; i < 4; i++) tbs.next();
  return tbs.next(tag.sequence).bytes;
}
