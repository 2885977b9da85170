import { ProvisioningError } from '../../src/errors.ts';
import type { IssueRequest } from '../../src/plug-in/certificate-authority.ts';
import type { CaCertificates } from './ca-certificates.ts';
import { issuerAndSubject } from './issuer-and-subject.ts';
import {
  type CertRep,
  type PkiRequest,
  pkiMessage,
  readCertRep,
  UnknownSignerError,
} from './message.ts';
import type { Acquaintance, ScepServer } from './scep-server.ts';
import type { Transport } from './transport.ts';

/** One order, asked for or asked after. Its transactionID is the requestId. */
export interface Turn {
  readonly type: PkiRequest['type'];
  readonly request: IssueRequest;
  readonly transport: Transport;
  /** Taken out of the server's words. */
  readonly secrets: readonly string[];
}

/** A reply, and the certificates that the server had when it gave it. */
export interface Answered {
  readonly reply: CertRep;
  readonly ca: CaCertificates;
}

/**
 * Orders a certificate, or asks after one. The server's certificates may have changed since we asked for them:
 * then they are asked for again, once.
 */
export async function converse(
  server: ScepServer,
  turn: Turn,
  signal: AbortSignal,
): Promise<Answered> {
  const known = await toldAs({ unanswered: false }, server.acquaintance(signal));
  const first = await ask(server, turn, known, signal);
  if (failedWith(first, 'badAlg', 'badMessageCheck')) {
    const newest = await toldAs({ unanswered: false }, server.meetAgain(signal));
    return isSame(known, newest) ? first : await ask(server, turn, newest, signal);
  }
  if (turn.type === 'PKCSReq' && failedWith(first, 'badRequest')) {
    return (await earlierAnswer(server, turn, signal)) ?? first;
  }
  return first;
}

/**
 * A refused order may be the echo of our own success: it is repeated after a crash, and by then its challenge
 * is used up. A server that remembers transactions tells, when it is asked after this one.
 */
async function earlierAnswer(
  server: ScepServer,
  turn: Turn,
  signal: AbortSignal,
): Promise<Answered | undefined> {
  try {
    const known = await server.acquaintance(signal);
    const found = await ask(server, { ...turn, type: 'CertPoll' }, known, signal);
    return found.reply.kind === 'failure' ? undefined : found;
  } catch (error) {
    signal.throwIfAborted();
    // Servers that do not know CertPoll fail in many ways; what they said to the order stands.
    if (error instanceof ProvisioningError) return undefined;
    throw error;
  }
}

async function ask(
  server: ScepServer,
  { type, request, transport, secrets }: Turn,
  { ca, manner }: Acquaintance,
  signal: AbortSignal,
): Promise<Answered> {
  const transactionId = request.requestId;
  const content = type === 'PKCSReq' ? request.csr : issuerAndSubject(ca.issuer.der, request.csr);
  const pki = { type, transactionId, content };
  const { message, senderNonce } = pkiMessage(pki, transport, ca, manner);
  const body = await server.operate(message, manner, secrets, signal);
  const sent = { transactionId, senderNonce };
  try {
    return { reply: readCertRep(body, sent, transport, ca), ca };
  } catch (error) {
    if (!(error instanceof UnknownSignerError)) throw badReply(error);
  }
  // The same reply is read again: the same request might give a second certificate.
  const { ca: newest } = await toldAs({ unanswered: true }, server.meetAgain(signal));
  try {
    return { reply: readCertRep(body, sent, transport, newest), ca: newest };
  } catch (error) {
    throw badReply(error);
  }
}

/** Says of an error whether a certificate may have been made: GetCACert alone makes none, nor does a refused order. */
async function toldAs<Result>(
  { unanswered }: { readonly unanswered: boolean },
  asking: Promise<Result>,
): Promise<Result> {
  try {
    return await asking;
  } catch (cause) {
    if (!(cause instanceof ProvisioningError)) throw cause;
    const { code, message, retryAfterMs } = cause;
    const pause = retryAfterMs === undefined ? {} : { retryAfterMs };
    throw new ProvisioningError(code, message, { cause, unanswered, ...pause });
  }
}

function failedWith({ reply }: Answered, ...failInfos: readonly string[]): boolean {
  return reply.kind === 'failure' && failInfos.includes(reply.failInfo);
}

function isSame(one: Acquaintance, other: Acquaintance): boolean {
  return (
    Buffer.compare(one.ca.recipient.der, other.ca.recipient.der) === 0 &&
    one.manner.cipher === other.manner.cipher &&
    one.manner.digest === other.manner.digest
  );
}

function badReply(error: unknown): ProvisioningError {
  const reason = error instanceof Error ? error.message : String(error);
  return new ProvisioningError(
    'ca-bad-answer',
    `The SCEP server's reply is not accepted: ${reason}`,
    { cause: error },
  );
}
