import { randomBytes, X509Certificate } from 'node:crypto';
import { DerError, tag } from '../../src/x509/der.ts';
import { encode, encodeText } from '../../src/x509/encode-der.ts';
import { certificatesOfPkcs7 } from '../../src/x509/pkcs7.ts';
import type { MessageOptions } from './algorithms.ts';
import type { CaCertificates } from './ca-certificates.ts';
import { envelope, signData } from './cms.ts';
import type { MessageIdentity } from './message-identity.ts';
import { openEnvelope } from './open-envelope.ts';
import { readSignedReply, type SignedReply } from './signed-reply.ts';

/*
 * pkiMessage and CertRep (RFC 8894 3). What is sent is a CSR, or the names of an order, in an envelope for the
 * CA, signed by us; what comes back is signed by the CA and has, when there is a certificate, an envelope for us.
 */

/** Attributes (RFC 8894 3.2.1) and their values; failInfoText is RFC 8894 3.2.1.4. */
const scep = '2.16.840.1.113733.1.9';
const attributeOid = {
  messageType: `${scep}.2`,
  pkiStatus: `${scep}.3`,
  failInfo: `${scep}.4`,
  senderNonce: `${scep}.5`,
  recipientNonce: `${scep}.6`,
  transactionId: `${scep}.7`,
  failInfoText: '1.3.6.1.5.5.7.24.1',
} as const;
const messageType = { CertRep: '3', PKCSReq: '19', CertPoll: '20' } as const;
const failInfoNames = ['badAlg', 'badMessageCheck', 'badRequest', 'badTime', 'badCertId'] as const;
const nonceBytes = 16;

type FailInfo = (typeof failInfoNames)[number];

export interface PkiRequest {
  readonly type: 'PKCSReq' | 'CertPoll';
  /** PrintableString. */
  readonly transactionId: string;
  /** PKCSReq: the CSR; CertPoll: IssuerAndSubject. DER. */
  readonly content: Uint8Array;
}

export type CertRep =
  | { readonly kind: 'success'; readonly certificates: readonly Uint8Array[] }
  | { readonly kind: 'pending' }
  | {
      readonly kind: 'failure';
      /** As the server wrote it where it is none of RFC 8894's. */
      readonly failInfo: FailInfo | string;
      /** The server's words; may be empty. */
      readonly text: string;
    };

/** The reply is not signed by anyone we know at this server. */
export class UnknownSignerError extends Error {
  override readonly name = 'UnknownSignerError';
}

/** A pkiMessage (DER), and the nonce that the reply must repeat. */
export function pkiMessage(
  request: PkiRequest,
  identity: MessageIdentity,
  ca: CaCertificates,
  messages: MessageOptions,
): { readonly message: Uint8Array; readonly senderNonce: Uint8Array } {
  const senderNonce = randomBytes(nonceBytes);
  const printable = (text: string) => encodeText(tag.printableString, text);
  const message = signData(
    envelope(request.content, ca.recipient, messages.cipher),
    [
      { type: attributeOid.messageType, value: printable(messageType[request.type]) },
      { type: attributeOid.transactionId, value: printable(request.transactionId) },
      { type: attributeOid.senderNonce, value: encode(tag.octetString, senderNonce) },
    ],
    identity,
    messages.digest,
  );
  return { message, senderNonce };
}

/**
 * @param body BER or DER.
 * @throws {UnknownSignerError} when the signature is not the CA's.
 * @throws {Error} when it is not the answer to this request; DerError when it cannot be read.
 */
export function readCertRep(
  body: Uint8Array,
  sent: { readonly transactionId: string; readonly senderNonce: Uint8Array },
  identity: MessageIdentity,
  ca: CaCertificates,
): CertRep {
  const signed = readSignedReply(body);
  if (signed === undefined) throw new Error('the reply is not signed');
  const known = ca.signers.some(({ der }) => signed.isSignedBy(new X509Certificate(der).publicKey));
  if (!known) {
    throw new UnknownSignerError(
      'the signature of the reply is not that of a certificate from GetCACert',
    );
  }
  if (textOf(signed, 'messageType') !== messageType.CertRep) {
    throw new Error('the reply is not a CertRep');
  }
  if (textOf(signed, 'transactionId') !== sent.transactionId) {
    throw new Error('the reply belongs to another transaction');
  }
  const nonce = signed.attributes.get(attributeOid.recipientNonce)?.content;
  if (nonce === undefined || Buffer.compare(nonce, sent.senderNonce) !== 0) {
    throw new Error('the reply does not repeat our nonce');
  }
  const status = textOf(signed, 'pkiStatus');
  switch (status) {
    case '0': {
      const { content } = signed;
      if (content === undefined) throw new Error('the reply reports success and is empty');
      const certificates = certificatesOfPkcs7(openEnvelope(content, identity));
      return { kind: 'success', certificates };
    }
    case '2': {
      const failInfo = textOf(signed, 'failInfo') ?? '';
      const text = textOf(signed, 'failInfoText') ?? '';
      return {
        kind: 'failure',
        failInfo: failInfoNames[Number(failInfo || 'none')] ?? failInfo,
        text,
      };
    }
    case '3':
      return { kind: 'pending' };
    default:
      throw new DerError(`The reply has the pkiStatus ${status ?? '(none)'}`);
  }
}

function textOf({ attributes }: SignedReply, name: keyof typeof attributeOid): string | undefined {
  const element = attributes.get(attributeOid[name]);
  return element && Buffer.from(element.content).toString('utf8');
}
