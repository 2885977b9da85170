import { ProvisioningError } from '../errors.ts';
import type { RequestedCertificate } from '../request/requested-certificate.ts';
import type { CertificateFacts } from '../x509/certificate.ts';
import { understoodExtensions } from '../x509/chain.ts';
import { DerError, readInside, readOid, readSingle, tag } from '../x509/der.ts';
import { microsoftOid } from '../x509/microsoft-extensions.ts';
import { brokenHashOf, sha1Signature } from '../x509/signature-hash.ts';
import { extendedKeyUsageOids, formatExtendedKeyUsage } from '../x509/usages.ts';

/*
 * A certificate may open more doors than the one that was asked for: as an enrolment agent its holder gets
 * certificates in anybody's name, and as a code signer the holder's programs are trusted. Nobody sees that on the
 * device, and anybody who steals the certificate has that power.
 */

/**
 * Usages that many CAs grant beside clientAuth whatever they are asked: ACME CAs, step-ca's and Vault's defaults,
 * AWS's template and the “Computer” of AD CS give serverAuth to everybody, AD CS's “User” and EJBCA's ENDUSER mail and
 * files, NDES's “IPSec (Offline request)” its own. What any of them lets a device do is held in bounds by the names,
 * and those are checked, or by the key itself.
 */
const harmless: readonly string[] = [
  extendedKeyUsageOids.serverAuth,
  extendedKeyUsageOids.clientAuth,
  extendedKeyUsageOids.emailProtection,
  extendedKeyUsageOids.encryptingFileSystem,
  extendedKeyUsageOids.eapOverPpp,
  extendedKeyUsageOids.eapOverLan,
  extendedKeyUsageOids.ipsecEndSystem,
  extendedKeyUsageOids.ipsecTunnel,
  extendedKeyUsageOids.ipsecUser,
  extendedKeyUsageOids.ipsecIke,
  extendedKeyUsageOids.ipsecIkeIntermediate,
];

/** Names in a form that nobody writes any more but some still read: they would not be compared with the profile. */
const oldNames: Readonly<Record<string, string>> = {
  '2.5.29.7': 'the subject alternative name of X.509 before version 3',
  '2.5.29.8': 'the issuer alternative name of X.509 before version 3',
  '2.16.840.1.113730.1.12': 'Netscape’s SSL server name',
};

const netscapeCertType = '2.16.840.1.113730.1.1';
/** Object signing, and CA for TLS, mail and objects. */
const netscapePowers = 0b0001_0111;

const howToAllow = 'Fix: correct the CA’s template, or list it under the authority’s mayAdd';

/**
 * @param mayAdd object identifiers of usages and critical extensions, and {@link sha1Signature}.
 * @throws {ProvisioningError} `certificate-wrong-usage`, `certificate-wrong-names`, `certificate-untrusted` for a
 *   signature that proves nothing, or `certificate-unreadable`.
 */
export function checkPowers(
  facts: CertificateFacts,
  wanted: RequestedCertificate,
  mayAdd: readonly string[],
): void {
  try {
    checkExtensions(facts, wanted, mayAdd);
    checkSignature(facts, mayAdd);
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw fault('certificate-unreadable', `${error.message}.`);
  }
}

function checkExtensions(
  facts: CertificateFacts,
  wanted: RequestedCertificate,
  mayAdd: readonly string[],
): void {
  checkUsages('Extended key usage', facts.extendedKeyUsages ?? [], wanted, mayAdd);
  for (const { type, critical, value } of facts.extensions) {
    if (type === microsoftOid.applicationPolicies) {
      // Windows goes by these before it looks at the extended key usages.
      checkUsages('Application policies', policiesIn(value), wanted, mayAdd);
    } else if (type === netscapeCertType) {
      if (mayAdd.includes(type) || (netscapeTypes(value) & netscapePowers) === 0) continue;
      throw fault(
        'certificate-wrong-usage',
        `Netscape’s certificate type (${type}) makes it a CA’s or a signer’s of programs. ${howToAllow}.`,
      );
    } else if (oldNames[type] !== undefined && !mayAdd.includes(type)) {
      throw fault(
        'certificate-wrong-names',
        `It has ${oldNames[type]} (${type}), which was not asked for. ${howToAllow}.`,
      );
    } else if (critical && !understoodExtensions.has(type) && !mayAdd.includes(type)) {
      throw fault(
        'certificate-wrong-usage',
        `It has the critical extension ${type}, which is not known here: what it demands cannot be told. ${howToAllow}.`,
      );
    }
  }
}

function checkUsages(
  what: string,
  got: readonly string[],
  wanted: RequestedCertificate,
  mayAdd: readonly string[],
): void {
  const allowed = [...wanted.extendedKeyUsages, ...harmless, ...mayAdd];
  if (allowed.includes(extendedKeyUsageOids.anyExtendedKeyUsage)) return;
  const extra = got.filter((oid) => !allowed.includes(oid));
  if (extra.length === 0) return;
  const names = extra.slice(0, 10).map(formatExtendedKeyUsage).join(', ');
  throw fault(
    'certificate-wrong-usage',
    `${what}: the certificate also has ${names}, a power that nobody asked for. ${howToAllow}: [${names}].`,
  );
}

/** A BIT STRING of up to eight bits; further bits mean nothing, even if a CA writes some. */
function netscapeTypes(value: Uint8Array): number {
  return readSingle(value, tag.bitString, 'Netscape’s certificate type').content[1] ?? 0;
}

/** CertificatePolicies ::= SEQUENCE OF SEQUENCE { policyIdentifier OBJECT IDENTIFIER, … }   (RFC 5280 4.2.1.4) */
function policiesIn(value: Uint8Array): string[] {
  const what = 'The application policies';
  const list = readInside(value, what);
  const oids: string[] = [];
  while (!list.done) oids.push(readOid(list.into(what).next(tag.oid)));
  return oids;
}

function checkSignature({ signatureAlgorithm }: CertificateFacts, mayAdd: readonly string[]): void {
  const broken = brokenHashOf(signatureAlgorithm);
  if (broken === undefined || (broken === 'SHA-1' && mayAdd.includes(sha1Signature))) return;
  throw fault(
    'certificate-untrusted',
    `The certificate is signed over ${broken}, which can be forged and which servers refuse. Fix: have the CA sign with SHA-256${broken === 'SHA-1' ? `, or list ${sha1Signature} under the authority’s mayAdd` : ''}.`,
  );
}

function fault(
  code:
    | 'certificate-wrong-usage'
    | 'certificate-wrong-names'
    | 'certificate-untrusted'
    | 'certificate-unreadable',
  message: string,
): ProvisioningError {
  return new ProvisioningError(code, message);
}
