import { createHash, X509Certificate } from 'node:crypto';
import { ProvisioningError } from '../../src/errors.ts';
import { type CertificateFacts, readCertificate } from '../../src/x509/certificate.ts';
import { chainsTo } from '../../src/x509/chain.ts';
import { formatName } from '../../src/x509/distinguished-name.ts';
import { type AnyKeyUsage, extensionOid } from '../../src/x509/extensions.ts';
import { certificatesOfPkcs7, isPkcs7 } from '../../src/x509/pkcs7.ts';
import { extendedKeyUsageOids } from '../../src/x509/usages.ts';

/** Who is who among the certificates of a SCEP server. */
export interface CaCertificates {
  /** Messages are encrypted to this one alone. Its key is RSA. */
  readonly recipient: CertificateFacts;
  /** One of these signs the replies. */
  readonly signers: readonly CertificateFacts[];
  /** The CA that issues. */
  readonly issuer: CertificateFacts;
  /** DER each. */
  readonly all: readonly Uint8Array[];
}

/** GetCACert's answer: one certificate, or a bag of them. Servers mislabel it, so the bytes decide. */
export function readCaCertificates(body: Uint8Array): CertificateFacts[] {
  const found = isPkcs7(body) ? certificatesOfPkcs7(body) : [body];
  if (found.length === 0) throw new Error('There is no certificate in it.');
  return found.map((der) => readCertificate(der));
}

/** What says who may be believed. Fingerprints are SHA-256, lower-case hexadecimal. */
export interface Pins {
  /** Of CA certificates. With any of them only these, and what chains to one, count. */
  readonly authorities: readonly string[];
  /** Of registration authorities' certificates. With any of them no other is one. */
  readonly agents: readonly string[];
  /** TLS vouches for the server. */
  readonly isSecure: boolean;
}

/**
 * Messages, and the challenge in them, are encrypted to the first registration authority's certificate that may
 * encipher keys, else one that may encipher data, else to the CA's own; replies are signed by one that may sign, or by
 * a CA. A certificate below the CA is not a registration authority's for that: whoever sits between could put in
 * that of a device. See {@link isAgent}.
 *
 * @throws {ProvisioningError} `ca-misconfigured` when none is trusted or none can be encrypted to.
 */
export function chooseCertificates(
  found: readonly CertificateFacts[],
  pins: Pins,
  now: number,
): CaCertificates {
  const isValid = ({ notBefore, notAfter }: CertificateFacts) =>
    now >= notBefore && now <= notAfter;
  const believed =
    pins.authorities.length === 0 ? found : trustedOnes(found, pins.authorities, now);
  // After a renewal some servers give the old ones, too, and before it the next ones.
  const trusted = [...believed.filter(isValid), ...believed.filter((one) => !isValid(one))];
  const authorities = trusted.filter((one) => isAuthority(one, pins));
  const agents = agentsAmong(found, trusted, authorities, pins);
  const issuer = issuerAmong(agents, authorities) ?? authorities[0];
  const decrypting = agents.filter(hasRsaKey);
  const recipient =
    decrypting.find((one) => may(one, 'keyEncipherment')) ??
    decrypting.find((one) => may(one, 'dataEncipherment')) ??
    issuer;
  if (issuer === undefined || recipient === undefined) {
    throw new ProvisioningError('ca-misconfigured', 'The SCEP server gave no CA certificate.');
  }
  checkRecipient(recipient, now);
  return {
    recipient,
    issuer,
    signers: [
      ...authorities,
      ...agents.filter((one) => !authorities.includes(one) && may(one, 'digitalSignature')),
    ],
    all: found.map(({ der }) => der),
  };
}

/** Who may not sign certificates is no CA. One of version 1, or without basicConstraints, is a CA's when it was pinned, or when TLS vouches for it and it is its own issuer. */
function isAuthority(one: CertificateFacts, { authorities, isSecure }: Pins): boolean {
  if (one.isCa) return may(one, 'keyCertSign');
  if (one.extensions.some(({ type }) => type === extensionOid.basicConstraints)) return false;
  if (authorities.includes(fingerprintOf(one.der))) return true;
  const x509 = new X509Certificate(one.der);
  return isSecure && x509.checkIssued(x509);
}

function agentsAmong(
  found: readonly CertificateFacts[],
  trusted: readonly CertificateFacts[],
  authorities: readonly CertificateFacts[],
  pins: Pins,
): CertificateFacts[] {
  if (pins.agents.length > 0) {
    const pinned = found.filter(({ der }) => pins.agents.includes(fingerprintOf(der)));
    if (pinned.length > 0) return pinned;
    throw new ProvisioningError(
      'ca-misconfigured',
      `None of the SCEP server's certificates has a fingerprint of raFingerprints. It gave ${named(found)}. Fix: find out at the server which is its own; if it was renewed, add the new one.`,
    );
  }
  const others = trusted.filter((one) => !authorities.includes(one));
  const agents = others.filter((one) => isAgent(one, pins));
  if (agents.length > 0 || others.length === 0) return agents;
  throw new ProvisioningError(
    'ca-misconfigured',
    `Nothing says that the SCEP server's certificates which are no CA's are a registration authority's (extended key usage Certificate Request Agent, ${extendedKeyUsageOids.certificateRequestAgent}), so the challenge is not sent to them: ${named(others)}. Fix: find out at the server which is its own, and put its fingerprint into raFingerprints; if it is the CA itself, the CA's. If one is a device's, somebody between may have put it in.`,
  );
}

const agentUsages: readonly string[] = [
  extendedKeyUsageOids.certificateRequestAgent,
  extendedKeyUsageOids.cmcRa,
];
/** Of devices and persons; enrolment agents among them have the usage of NDES's, too. */
const clientUsages: readonly string[] = [
  extendedKeyUsageOids.clientAuth,
  extendedKeyUsageOids.smartcardLogon,
  extendedKeyUsageOids.kerberosClientAuth,
  extendedKeyUsageOids.eapOverPpp,
  extendedKeyUsageOids.eapOverLan,
  extendedKeyUsageOids.anyExtendedKeyUsage,
];

/**
 * NDES's have the usage Certificate Request Agent, others cmcRA (RFC 6402 2.10). Where TLS vouches for the server,
 * its word is enough for one without any usage, or for servers; devices' certificates are never one.
 */
function isAgent({ der, extendedKeyUsages }: CertificateFacts, pins: Pins): boolean {
  if (pins.authorities.includes(fingerprintOf(der))) return true;
  if (extendedKeyUsages === undefined) return pins.isSecure;
  if (extendedKeyUsages.some((oid) => clientUsages.includes(oid))) return false;
  return pins.isSecure || extendedKeyUsages.some((oid) => agentUsages.includes(oid));
}

/** Names and fingerprints for a message. */
function named(certificates: readonly CertificateFacts[]): string {
  return certificates
    .slice(0, 10)
    .map(({ subject, der }) => `“${formatName(subject).slice(0, 100)}” ${fingerprintOf(der)}`)
    .join(', ');
}

function trustedOnes(
  found: readonly CertificateFacts[],
  fingerprints: readonly string[],
  now: number,
): CertificateFacts[] {
  const pinned = found.filter(({ der }) => fingerprints.includes(fingerprintOf(der)));
  if (pinned.length === 0) {
    throw new ProvisioningError(
      'ca-misconfigured',
      `None of the SCEP server's certificates has a fingerprint of caFingerprints. It gave ${named(found)}. Fix: find out at the CA which is right; if it was renewed, add the new one.`,
    );
  }
  const roots = pinned.map(({ der }) => der);
  const all = found.map(({ der }) => der);
  return found.filter((one) => pinned.includes(one) || chainsTo(one, all, roots, now).trusted);
}

/** SHA-256, lower-case hexadecimal. */
function fingerprintOf(der: Uint8Array): string {
  return createHash('sha256').update(der).digest('hex');
}

/** A certificate without key usage may be used for anything (RFC 5280 4.2.1.3). */
function may({ keyUsages }: CertificateFacts, usage: AnyKeyUsage): boolean {
  return keyUsages === undefined || keyUsages.includes(usage);
}

function hasRsaKey({ der }: CertificateFacts): boolean {
  return new X509Certificate(der).publicKey.asymmetricKeyType === 'rsa';
}

/** The CA that issued the RA's certificates; without an RA the one that issued no other CA's here. */
function issuerAmong(
  agents: readonly CertificateFacts[],
  authorities: readonly CertificateFacts[],
): CertificateFacts | undefined {
  const issued = (ca: CertificateFacts, one: CertificateFacts) =>
    ca !== one && new X509Certificate(one.der).checkIssued(new X509Certificate(ca.der));
  return (
    authorities.find((ca) => agents.some((agent) => issued(ca, agent))) ??
    authorities.find((ca) => !authorities.some((other) => issued(ca, other))) ??
    authorities[0]
  );
}

function checkRecipient(recipient: CertificateFacts, now: number): void {
  const { publicKey, subject } = new X509Certificate(recipient.der);
  if (publicKey.asymmetricKeyType !== 'rsa') {
    throw new ProvisioningError(
      'ca-misconfigured',
      `The SCEP server has no RSA certificate to encrypt to: ${subject} has a key of type ${publicKey.asymmetricKeyType}. Fix: give the server an RSA certificate for decryption.`,
    );
  }
  if (now > recipient.notAfter) {
    throw new ProvisioningError(
      'ca-misconfigured',
      `The certificate that messages to the SCEP server are encrypted to (${subject}) expired on ${new Date(recipient.notAfter).toISOString()}. Fix: renew it at the server.`,
    );
  }
}
