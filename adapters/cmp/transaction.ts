import { randomBytes } from 'node:crypto';
import { ProvisioningError } from '../../src/errors.ts';
import type { Clock } from '../../src/time/clock.ts';
import { DerError, tag } from '../../src/x509/der.ts';
import { encode, encodeText } from '../../src/x509/encode-der.ts';
import type { AdapterHttp, HttpAnswer } from '../shared/http.ts';
import { serverWords } from '../shared/server-words.ts';
import { statusProblem } from '../shared/status-problem.ts';
import {
  bodyType,
  decodeMessage,
  encodeBody,
  encodeHeader,
  encodeInfo,
  encodeMessage,
  infoType,
  type Message,
  protectedPart,
} from './message.ts';
import {
  type Credentials,
  isProtected,
  OtherSecretError,
  protectorOf,
  type Responder,
} from './protection.ts';
import { describeStatus, problemOf, readErrorMessage } from './status.ts';

/** What all transactions with one CA have in common. */
export interface Link {
  readonly url: string;
  readonly http: AdapterHttp;
  readonly clock: Clock;
  readonly credentials: Credentials;
  readonly responder: Responder | undefined;
  /** A Name, DER. */
  readonly recipient: Uint8Array;
  readonly certProfile: string | undefined;
  /** Never repeated in messages. */
  readonly secrets: readonly string[];
  /** Certificates of signers that were believed before: later messages may leave them out. */
  readonly knownSigners: Uint8Array[];
}

export interface Outgoing {
  readonly type: number;
  /** DER. */
  readonly content: Uint8Array;
  readonly pvno?: 2 | 3;
  readonly askImplicitConfirm?: boolean;
}

const nonceBytes = 16;

/** One CMP transaction (RFC 9810 5.1.1): its id, and the chain of nonces. */
export class Transaction {
  readonly #link: Link;
  readonly #id: Uint8Array;
  /** The CA's last senderNonce. */
  #nonce: Uint8Array | undefined;

  constructor(link: Link, id: Uint8Array, nonce?: Uint8Array) {
    this.#link = link;
    this.#id = id;
    this.#nonce = nonce;
  }

  get nonce(): Uint8Array | undefined {
    return this.#nonce;
  }

  /**
   * Sends a message and gives the answer, whose protection, transaction and nonce were checked. A protected
   * error message is an answer too.
   *
   * @throws {ProvisioningError}
   */
  async send(outgoing: Outgoing, signal: AbortSignal): Promise<Message> {
    const senderNonce = randomBytes(nonceBytes);
    const request = await this.#encode(outgoing, senderNonce);
    const { http, url } = this.#link;
    const headers = {
      'content-type': 'application/pkixcmp',
      accept: 'application/pkixcmp',
      // Messages are few and far between, and some servers serve one connection after the other.
      connection: 'close',
    };
    const answer = await http.request({ method: 'POST', url, headers, body: request }, signal);
    const message = this.#decode(answer);
    try {
      await this.#verify(message, senderNonce);
    } catch (error) {
      if (error instanceof OtherSecretError && message.type === bodyType.error) {
        throw this.#unproven(
          message,
          'with an error that was protected with another secret than ours',
        );
      }
      if (error instanceof DerError) throw this.#bad(error.message, error);
      throw error;
    }
    this.#nonce = message.senderNonce;
    return message;
  }

  async #encode(outgoing: Outgoing, senderNonce: Uint8Array): Promise<Uint8Array> {
    const { credentials, recipient, clock } = this.#link;
    const protector = protectorOf(credentials);
    const header = encodeHeader({
      pvno: outgoing.pvno ?? 2,
      sender: protector.sender,
      recipient,
      messageTime: clock.now(),
      protectionAlgorithm: protector.algorithm,
      senderKeyId: protector.senderKeyId,
      transactionId: this.#id,
      senderNonce,
      recipNonce: this.#nonce,
      generalInfo: this.#generalInfo(outgoing),
    });
    const body = encodeBody(outgoing.type, outgoing.content);
    const protection = await protector.protect(protectedPart(header, body));
    return encodeMessage(header, body, protection, protector.extraCerts);
  }

  #generalInfo({ type, askImplicitConfirm = false }: Outgoing): Uint8Array[] {
    const { certProfile } = this.#link;
    const info: Uint8Array[] = [];
    if (askImplicitConfirm) info.push(encodeInfo(infoType.implicitConfirm, encode(tag.null)));
    if (type === bodyType.p10CertRequest && certProfile !== undefined) {
      const profile = encode(tag.sequence, encodeText(tag.utf8String, certProfile));
      info.push(encodeInfo(infoType.certProfile, profile));
    }
    return info;
  }

  /** Some servers give errors an HTTP status as well, so the body is looked at first (RFC 9811 3.4). */
  #decode(answer: HttpAnswer): Message {
    try {
      return decodeMessage(answer.body);
    } catch (error) {
      if (!(error instanceof DerError)) throw error;
      if (answer.status === 200) throw this.#bad(`it is no PKIMessage: ${error.message}`, error);
      throw this.problemOfStatus(answer);
    }
  }

  /** An answer without a CMP message in it. */
  problemOfStatus(answer: HttpAnswer): ProvisioningError {
    const { url, secrets, clock } = this.#link;
    return statusProblem(answer, {
      what: `${url} answered ${answer.status}: ${serverWords(answer.body, secrets) || 'no text'}`,
      isOwn: false,
      now: clock.now(),
      hint: 'Look at url, and at what stands between us and the CA.',
    });
  }

  async #verify(message: Message, senderNonce: Uint8Array): Promise<void> {
    const { credentials, responder, knownSigners, clock } = this.#link;
    const now = clock.now();
    if (!(await isProtected(message, credentials, responder, knownSigners, now))) {
      if (message.type !== bodyType.error) throw this.#bad('it is not protected');
      throw this.#unproven(message, 'with an unprotected error');
    }
    if (!isSame(message.transactionId, this.#id)) {
      throw new DerError('it belongs to another transaction');
    }
    if (!isSame(message.recipNonce, senderNonce)) {
      throw new DerError('it does not repeat our nonce');
    }
  }

  /** Anybody could have written it: never a decision, but it may say what is wrong. */
  #unproven(message: Message, how: string): ProvisioningError {
    const { url, secrets } = this.#link;
    const info = readErrorMessage(message.body);
    const what = `${url} answered ${how}`;
    const problem = problemOf(info, what, secrets);
    if (problem !== undefined) {
      // Nor is it the CA's word that nothing was made.
      const { code, message: said } = problem;
      return new ProvisioningError(code, said);
    }
    return new ProvisioningError(
      'ca-misconfigured',
      `${what}: ${describeStatus(info, secrets)}. Does the CA know our reference and secret, or our certificate?`,
    );
  }

  #bad(what: string, cause?: unknown): ProvisioningError {
    const message = `The answer of ${this.#link.url} cannot be used: ${what}.`;
    return new ProvisioningError('ca-bad-answer', message, { cause });
  }
}

function isSame(one: Uint8Array | undefined, other: Uint8Array): boolean {
  return one !== undefined && Buffer.compare(one, other) === 0;
}
