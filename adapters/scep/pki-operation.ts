import { ProvisioningError } from '../../src/errors.ts';
import type { IssueRequest } from '../../src/plug-in/certificate-authority.ts';
import { messageOf } from '../../src/words/message-of.ts';
import { beforeOrder } from '../shared/status-problem.ts';
import type { CaCertificates } from './ca-certificates.ts';
import { issuerAndSubject } from './issuer-and-subject.ts';
import {
  type CertRep,
  type PkiRequest,
  pkiMessage,
  readCertRep,
  UnknownSignerError,
} from './message.ts';
import type { MessageIdentity } from './message-identity.ts';
import type { KnownServer, ScepServer } from './scep-server.ts';

/** One order, asked for or asked after. Its transactionID is the requestId. */
export interface PkiOperation {
  readonly type: PkiRequest['type'];
  readonly request: IssueRequest;
  readonly identity: MessageIdentity;
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
export async function carryOut(
  server: ScepServer,
  operation: PkiOperation,
  signal: AbortSignal,
): Promise<Answered> {
  const known = await beforeOrder(server.known(signal));
  const first = await ask(server, operation, known, signal);
  if (failedWith(first, 'badAlg', 'badMessageCheck')) {
    const newest = await beforeOrder(server.refresh(signal));
    return isSame(known, newest) ? first : await ask(server, operation, newest, signal);
  }
  if (operation.type === 'PKCSReq' && failedWith(first, 'badRequest')) {
    return (await earlierAnswer(server, operation, signal)) ?? first;
  }
  return first;
}

/**
 * A refused order may be the echo of our own success: it is repeated after a crash, and by then its challenge
 * is used up. A server that remembers transactions tells, when it is asked after this one.
 */
async function earlierAnswer(
  server: ScepServer,
  operation: PkiOperation,
  signal: AbortSignal,
): Promise<Answered | undefined> {
  try {
    const known = await server.known(signal);
    const found = await ask(server, { ...operation, type: 'CertPoll' }, known, signal);
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
  { type, request, identity, secrets }: PkiOperation,
  { ca, messages }: KnownServer,
  signal: AbortSignal,
): Promise<Answered> {
  const transactionId = request.requestId;
  const content = type === 'PKCSReq' ? request.csr : issuerAndSubject(ca.issuer.der, request.csr);
  const pki = { type, transactionId, content };
  const { message, senderNonce } = pkiMessage(pki, identity, ca, messages);
  const body = await server.operate(message, messages, secrets, signal);
  const sent = { transactionId, senderNonce };
  try {
    return { reply: readCertRep(body, sent, identity, ca), ca };
  } catch (error) {
    if (!(error instanceof UnknownSignerError)) throw badReply(error);
  }
  // The same reply is read again: the same request might give a second certificate.
  const { ca: newest } = await afterOrder(server.refresh(signal));
  try {
    return { reply: readCertRep(body, sent, identity, newest), ca: newest };
  } catch (error) {
    throw badReply(error);
  }
}

/** GetCACert itself makes no certificate, and the order before it may have made one. */
async function afterOrder<Result>(asking: Promise<Result>): Promise<Result> {
  try {
    return await asking;
  } catch (cause) {
    if (!(cause instanceof ProvisioningError)) throw cause;
    const { code, message, retryAfterMs } = cause;
    const pause = retryAfterMs === undefined ? {} : { retryAfterMs };
    throw new ProvisioningError(code, message, { cause, unanswered: true, ...pause });
  }
}

function failedWith({ reply }: Answered, ...failInfos: readonly string[]): boolean {
  return reply.kind === 'failure' && failInfos.includes(reply.failInfo);
}

function isSame(one: KnownServer, other: KnownServer): boolean {
  return (
    Buffer.compare(one.ca.recipient.der, other.ca.recipient.der) === 0 &&
    one.messages.cipher === other.messages.cipher &&
    one.messages.digest === other.messages.digest
  );
}

function badReply(error: unknown): ProvisioningError {
  const reason = messageOf(error);
  return new ProvisioningError(
    'ca-bad-answer',
    `The SCEP server's reply is not accepted: ${reason}`,
    { cause: error },
  );
}
