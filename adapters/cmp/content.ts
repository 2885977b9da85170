import { createHash } from 'node:crypto';
import type { RevocationReason } from '../../src/plug-in/certificate-authority.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import {
  contextTag,
  DerError,
  DerReader,
  readInteger,
  readSmallInteger,
  tag,
} from '../../src/x509/der.ts';
import { encode } from '../../src/x509/encode-der.ts';
import { encodeExtensions } from '../../src/x509/extensions.ts';
import { reasonCodes } from '../shared/revocation-reason.ts';
import { encodeAlgorithm, hashOfSignature, readAlgorithm } from './algorithms.ts';
import { listOf } from './message.ts';
import { readStatusInfo, type StatusInfo } from './status.ts';

/** What a CA answered about one certificate. */
export interface CertResponse {
  /** −1 by the standard for a p10cr, 0 from some CAs: given back as it came. */
  readonly certReqId: number;
  readonly info: StatusInfo;
  /** DER. */
  readonly certificate: Uint8Array | undefined;
  /** DER. */
  readonly caPubs: readonly Uint8Array[];
}

/**
 * CertRepMessage ::= SEQUENCE { caPubs [1] SEQUENCE OF CMPCertificate OPTIONAL,        (RFC 9810 5.3.4)
 *   response SEQUENCE OF CertResponse }
 * CertResponse ::= SEQUENCE { certReqId INTEGER, status PKIStatusInfo,
 *   certifiedKeyPair SEQUENCE { certOrEncCert CHOICE { certificate [0] CMPCertificate,
 *     encryptedCert [1] EncryptedKey }, … } OPTIONAL, rspInfo OCTET STRING OPTIONAL }
 *
 * @throws {DerError}
 */
export function readCertResponse(body: Uint8Array): CertResponse {
  const message = new DerReader(body, 'CertRepMessage').into('CertRepMessage');
  const pubs = message.optional(contextTag(1, 'constructed'));
  const response = message.into('The responses').into('CertResponse');
  const certReqId = readRequestId(response);
  const info = readStatusInfo(response);
  const pair = response.optional(tag.sequence);
  return {
    certReqId,
    info,
    certificate: pair === undefined ? undefined : certificateIn(pair.content),
    caPubs: pubs === undefined ? [] : listOf(pubs.content, 'caPubs'),
  };
}

function certificateIn(content: Uint8Array): Uint8Array {
  const pair = new DerReader(content, 'CertifiedKeyPair');
  const choice = pair.next();
  if (choice.tag !== contextTag(0, 'constructed')) {
    throw new DerError('The certificate is encrypted, which nobody asked for');
  }
  return new DerReader(choice.content, 'The certificate').next(tag.sequence).bytes;
}

function readRequestId(reader: DerReader): number {
  const content = readInteger(reader.next(tag.integer));
  if (content.length !== 1) throw new DerError('certReqId is neither -1 nor small');
  return new Int8Array(content)[0] ?? -1;
}

/** PollReqContent ::= SEQUENCE OF SEQUENCE { certReqId INTEGER }                    (RFC 9810 5.3.22) */
export function encodePollRequest(certReqId: number): Uint8Array {
  return encode(tag.sequence, encode(tag.sequence, encodeRequestId(certReqId)));
}

/**
 * PollRepContent ::= SEQUENCE OF SEQUENCE { certReqId INTEGER, checkAfter INTEGER, reason OPTIONAL }
 *
 * @throws {DerError}
 */
export function readPollResponse(body: Uint8Array): { certReqId: number; checkAfterMs: number } {
  const poll = new DerReader(body, 'PollRepContent').into('PollRepContent').into('The entry');
  const certReqId = readRequestId(poll);
  return { certReqId, checkAfterMs: readSmallInteger(poll.next(tag.integer)) * 1_000 };
}

/**
 * CertConfirmContent ::= SEQUENCE OF SEQUENCE { certHash OCTET STRING, certReqId INTEGER,
 *   statusInfo PKIStatusInfo OPTIONAL, hashAlg [0] AlgorithmIdentifier OPTIONAL }    (RFC 9810 5.3.18)
 *
 * hashAlg is named only where the certificate's signature implies no hash; the header then has pvno 3.
 */
export function encodeCertConfirm(
  certificate: Uint8Array,
  certReqId: number,
): { readonly content: Uint8Array; readonly pvno: 2 | 3 } {
  const outer = new DerReader(certificate, 'The certificate').into('The certificate');
  outer.next(tag.sequence);
  const implied = hashOfSignature(readAlgorithm(outer.next(tag.sequence).bytes));
  const hash = createHash(implied ?? 'sha256')
    .update(certificate)
    .digest();
  const accepted = encode(tag.sequence, encode(tag.integer, Uint8Array.of(0)));
  const sha256 = encodeAlgorithm('2.16.840.1.101.3.4.2.1');
  const status = encode(
    tag.sequence,
    encode(tag.octetString, hash),
    encodeRequestId(certReqId),
    accepted,
    ...(implied === undefined ? [encode(contextTag(0, 'constructed'), sha256)] : []),
  );
  return { content: encode(tag.sequence, status), pvno: implied === undefined ? 3 : 2 };
}

function encodeRequestId(certReqId: number): Uint8Array {
  return encode(tag.integer, Uint8Array.of(certReqId & 0xff));
}

/**
 * RevReqContent ::= SEQUENCE OF SEQUENCE { certDetails CertTemplate,                 (RFC 9810 5.3.9)
 *   crlEntryDetails Extensions OPTIONAL }
 * CertTemplate ::= SEQUENCE { serialNumber [1] IMPLICIT INTEGER, issuer [3] Name, … }   (RFC 4211 5)
 */
export function encodeRevocation(certificate: Uint8Array, reason: RevocationReason): Uint8Array {
  const { serialNumberBytes, issuer } = readCertificate(certificate);
  const template = encode(
    tag.sequence,
    encode(contextTag(1, 'primitive'), serialNumberBytes),
    encode(contextTag(3, 'constructed'), issuer),
  );
  const reasonCode = encode(0x0a, Uint8Array.of(reasonCodes[reason])); // ENUMERATED
  const details = encodeExtensions([{ type: '2.5.29.21', critical: false, value: reasonCode }]);
  return encode(tag.sequence, encode(tag.sequence, template, details));
}

/** RevRepContent ::= SEQUENCE { status SEQUENCE OF PKIStatusInfo, … }. @throws {DerError} */
export function readRevocationResponse(body: Uint8Array): StatusInfo {
  return readStatusInfo(new DerReader(body, 'RevRepContent').into('It').into('The statuses'));
}
