import { createHash, X509Certificate } from 'node:crypto';
import { ProvisioningError } from '../../src/errors.ts';
import { type CertificateFacts, readCertificate } from '../../src/x509/certificate.ts';
import { chainsTo } from '../../src/x509/chain.ts';
import type { AnyKeyUsage } from '../../src/x509/extensions.ts';
import { certificatesIn, isSignedData } from './cms.ts';

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
  const found = isSignedData(body) ? certificatesIn(body) : [readCertificate(body)];
  if (found.length === 0) throw new Error('There is no certificate in it.');
  return found;
}

/**
 * Messages are encrypted to the first certificate of no CA that may encipher keys, else one that may encipher
 * data, else to the CA's own; replies are signed by one that may sign, or by a CA.
 *
 * @param fingerprints of CA certificates, SHA-256, lower-case hexadecimal. With any of them, only certificates
 * that are one of these or chain to one count; without, all do, because TLS vouched for them.
 * @throws {ProvisioningError} `ca-misconfigured` when none is trusted or none can be encrypted to.
 */
export function chooseCertificates(
  found: readonly CertificateFacts[],
  fingerprints: readonly string[],
  now: number,
): CaCertificates {
  const trusted = fingerprints.length === 0 ? found : trustedOnes(found, fingerprints, now);
  const agents = trusted.filter(({ isCa }) => !isCa);
  const authorities = trusted.filter(({ isCa }) => isCa);
  const issuer = issuerAmong(agents, authorities) ?? trusted[0];
  const decrypting = agents.filter(hasRsaKey);
  const recipient =
    decrypting.find((one) => may(one, 'keyEncipherment')) ??
    decrypting.find((one) => may(one, 'dataEncipherment')) ??
    issuer;
  if (issuer === undefined || recipient === undefined) {
    throw new ProvisioningError('ca-misconfigured', 'The SCEP server gave no usable certificate.');
  }
  checkRecipient(recipient, now);
  return {
    recipient,
    issuer,
    signers: trusted.filter((one) => one.isCa || may(one, 'digitalSignature')),
    all: found.map(({ der }) => der),
  };
}

function trustedOnes(
  found: readonly CertificateFacts[],
  fingerprints: readonly string[],
  now: number,
): CertificateFacts[] {
  const pinned = found.filter(({ der }) => fingerprints.includes(fingerprintOf(der)));
  if (pinned.length === 0) {
    const seen = found.map(({ der }) => fingerprintOf(der)).join(', ');
    throw new ProvisioningError(
      'ca-misconfigured',
      `None of the SCEP server's certificates has a fingerprint of caFingerprints. They have ${seen}. Fix: find out at the CA which is right; if it was renewed, add the new one.`,
    );
  }
  const roots = pinned.map(({ der }) => der);
  const all = found.map(({ der }) => der);
  return found.filter((one) => pinned.includes(one) || chainsTo(one.der, all, roots, now).trusted);
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
