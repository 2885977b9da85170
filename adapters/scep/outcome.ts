import { ProvisioningError } from '../../src/errors.ts';
import type { Issuance } from '../../src/plug-in/certificate-authority.ts';
import type { Opaque } from '../../src/plug-in/opaque.ts';
import { messageOf } from '../../src/words/message-of.ts';
import { type CertificateFacts, readCertificate } from '../../src/x509/certificate.ts';
import { chainOf } from '../shared/own-certificate.ts';
import { serverWords } from '../shared/server-words.ts';
import type { CertRep } from './message.ts';

export interface OutcomeContext {
  /** The device's key, DER. */
  readonly subjectPublicKeyInfo: Uint8Array;
  /** The certificates from GetCACert, DER: the leaf's issuer may be only there. */
  readonly caCertificates: readonly Uint8Array[];
  readonly ticket: Opaque;
  readonly pollAfterMs: number;
  /** Taken out of the server's words. */
  readonly secrets: readonly string[];
}

/** “The RPC server is unavailable”: NDES does not reach its CA. */
const rpcUnavailable = /0x800706BA/i;

/**
 * What a reply means for the order (RFC 8894 3.3.2).
 *
 * @throws {ProvisioningError} when the failure is not the request's, or there is no certificate in a success.
 */
export function issuanceOf(reply: CertRep, context: OutcomeContext): Issuance {
  switch (reply.kind) {
    case 'success':
      return issued(reply.certificates, context);
    case 'pending':
      return { kind: 'pending', ticket: context.ticket, pollAfterMs: context.pollAfterMs };
    case 'failure':
      // Some servers write HTML into it.
      return failed(
        reply.failInfo,
        serverWords(reply.text.replace(/<[^>]{0,200}>/g, ' '), context.secrets),
      );
    default:
      return reply satisfies never;
  }
}

function failed(failInfo: string, words: string): Issuance {
  const said = words === '' ? '' : `: ${words}`;
  if (rpcUnavailable.test(words)) {
    throw new ProvisioningError('ca-unavailable', `NDES does not reach its CA${said}`, {
      unanswered: false,
    });
  }
  switch (failInfo) {
    case 'badRequest':
      return {
        kind: 'rejected',
        reason: `badRequest${said || ' (a wrong challenge password looks the same)'}`,
      };
    case 'badCertId':
      return {
        kind: 'rejected',
        reason: `badCertId: the CA does not know the order any more${said}`,
      };
    case 'badTime':
      throw new ProvisioningError(
        'ca-misconfigured',
        `The SCEP server says badTime${said}. Fix: compare its clock with ours.`,
      );
    case 'badAlg':
    case 'badMessageCheck':
      throw new ProvisioningError(
        'ca-misconfigured',
        `The SCEP server says ${failInfo}, also to its newest certificates and capabilities${said}. Fix: see whether the certificate and key that it decrypts with belong together, and whether it knows the certificate in ra.`,
      );
    default:
      throw new ProvisioningError(
        'ca-bad-answer',
        `The SCEP server reports a failure with failInfo “${serverWords(failInfo)}”${said}`,
        { unanswered: false },
      );
  }
}

/** The leaf may stand anywhere: it is the one with the device's key. */
function issued(certificates: readonly Uint8Array[], context: OutcomeContext): Issuance {
  const found = certificates.map(readOne);
  const ours = Buffer.from(context.subjectPublicKeyInfo);
  // One with another key is handed on as well: the check behind this says what is wrong with it.
  const leaf =
    found.find(({ subjectPublicKeyInfo }) => ours.equals(subjectPublicKeyInfo)) ??
    found.find(({ isCa }) => !isCa);
  if (leaf === undefined) {
    throw new ProvisioningError(
      'ca-bad-answer',
      'The SCEP server reports success and sends no end-entity certificate.',
    );
  }
  const chain = chainOf(leaf.der, [...certificates, ...context.caCertificates]);
  return { kind: 'issued', certificate: leaf.der, chain };
}

function readOne(der: Uint8Array): CertificateFacts {
  try {
    return readCertificate(der);
  } catch (error) {
    throw new ProvisioningError(
      'ca-bad-answer',
      `The SCEP server sent a certificate that cannot be read: ${messageOf(error)}`,
      { cause: error },
    );
  }
}
