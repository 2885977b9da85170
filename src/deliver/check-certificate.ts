import { type ErrorCode, ProvisioningError } from '../errors.ts';
import type { DroppablePart } from '../plug-in/certificate-authority.ts';
import { Leaf } from '../request/leaf.ts';
import type { RequestedCertificate } from '../request/requested-certificate.ts';
import { messageOf } from '../words/message-of.ts';
import type { CertificateFacts } from '../x509/certificate.ts';
import { chainsTo, readKnown, signatureProblem } from '../x509/chain.ts';
import { DerError } from '../x509/der.ts';
import type { DistinguishedName } from '../x509/distinguished-name.ts';
import { comparableAttribute, formatName, sameName } from '../x509/distinguished-name.ts';
import { decodeSid, microsoftOid, sidUri } from '../x509/microsoft-extensions.ts';
import { extendedKeyUsageOids, formatExtendedKeyUsage } from '../x509/usages.ts';
import { checkPowers } from './check-powers.ts';

/*
 * A CA's answer is never trusted: the device takes any certificate with its key, and a wrong name or usage
 * would only show as a Wi-Fi that does not open, or as someone else's identity.
 */

export interface CheckRequest {
  /** What the CA gave as the end-entity certificate. */
  readonly certificate: Leaf | Uint8Array;
  /** The rest of its answer, DER each, in any order. */
  readonly chain: readonly Uint8Array[];
  /** The device's, DER. */
  readonly subjectPublicKeyInfo: Uint8Array;
  readonly wanted: RequestedCertificate;
  /** DER each. Without any, the signatures along the chain are verified, as far as it goes. */
  readonly roots: readonly Uint8Array[];
  /** Parts that this CA may leave out. Nothing may be put in their place. */
  readonly mayDrop: readonly DroppablePart[];
  /** What this CA may add: object identifiers of usages and critical extensions, `sha1Signature`. */
  readonly mayAdd?: readonly string[];
  /** Milliseconds since the epoch. */
  readonly now: number;
}

const dayMs = 24 * 3600 * 1000;
/** How far the CA's clock may be ahead of ours. */
const skewMs = 5 * 60 * 1000;
/** A longer validity is a mistake, unless it is RFC 5280's 9999-12-31T23:59:59Z for "no end". */
const mostValidityMs = 100 * 366 * dayMs;
const noEnd = Date.UTC(9999, 11, 31, 23, 59, 59);

/**
 * Whether a certificate is the one that was asked for.
 *
 * @returns what the certificate says.
 * @throws {ProvisioningError} with the `certificate-…` code of the first check it fails.
 */
export function checkCertificate(request: CheckRequest): CertificateFacts {
  const facts = read(request);
  checkKey(facts, request);
  checkIsNoCa(facts);
  checkValidity(facts, request.now);
  checkKeyUsages(facts, request);
  checkExtendedKeyUsages(facts, request);
  checkSubject(facts, request);
  checkAltNames(facts, request);
  checkSecurityIdentifier(facts, request);
  checkPowers(facts, request.wanted, request.mayAdd ?? []);
  checkChain(facts, request);
  return facts;
}

function fault(
  code: Extract<ErrorCode, `certificate-${string}`>,
  message: string,
  cause?: unknown,
) {
  return new ProvisioningError(code, message, { cause });
}

function read({ certificate, chain }: CheckRequest): CertificateFacts {
  try {
    for (const der of chain) readKnown(der);
    const leaf = certificate instanceof Leaf ? certificate : new Leaf(certificate);
    return leaf.facts;
  } catch (error) {
    throw fault('certificate-unreadable', `The authority’s answer: ${messageOf(error)}`, error);
  }
}

function checkKey(facts: CertificateFacts, { subjectPublicKeyInfo }: CheckRequest): void {
  if (Buffer.compare(facts.subjectPublicKeyInfo, subjectPublicKeyInfo) === 0) return;
  throw fault(
    'certificate-wrong-key',
    `Certificate ${facts.serialNumber} (${shownName(facts.subject)}) is for another public key than the device’s.`,
  );
}

function checkIsNoCa(facts: CertificateFacts): void {
  if (facts.isCa) throw fault('certificate-is-ca', 'The certificate is a CA’s (basicConstraints).');
  const usage = facts.keyUsages?.find((name) => name === 'keyCertSign' || name === 'cRLSign');
  if (usage !== undefined) {
    throw fault(
      'certificate-is-ca',
      `The certificate has the key usage ${usage}, which is a CA’s.`,
    );
  }
}

function checkValidity({ notBefore, notAfter }: CertificateFacts, now: number): void {
  const dates = `It is valid from ${isoTime(notBefore)} to ${isoTime(notAfter)}; now is ${isoTime(now)}.`;
  const problem =
    notAfter <= notBefore || (notAfter - notBefore > mostValidityMs && notAfter !== noEnd)
      ? 'The certificate’s dates make no sense.'
      : notBefore > now + skewMs
        ? 'The certificate is not valid yet.'
        : notAfter <= now
          ? 'The certificate has expired.'
          : undefined;
  if (problem !== undefined) throw fault('certificate-not-valid-now', `${problem} ${dates}`);
  if (notAfter - now <= dayMs) {
    throw fault('certificate-too-short', `The certificate expires within a day. ${dates}`);
  }
}

function isoTime(time: number): string {
  return new Date(time).toISOString();
}

function checkKeyUsages({ keyUsages }: CertificateFacts, { wanted, mayDrop }: CheckRequest): void {
  const problem = usageProblem(keyUsages, wanted.keyUsages, mayDrop.includes('keyUsages'));
  if (problem !== undefined) {
    throw fault('certificate-wrong-usage', `Key usage: ${problem}.`);
  }
}

function checkExtendedKeyUsages(
  { extendedKeyUsages }: CertificateFacts,
  { wanted, mayDrop }: CheckRequest,
): void {
  // checkPowers decides whether it may have this one.
  if (extendedKeyUsages?.includes(extendedKeyUsageOids.anyExtendedKeyUsage)) return;
  const problem = usageProblem(
    extendedKeyUsages?.map(formatExtendedKeyUsage),
    wanted.extendedKeyUsages.map(formatExtendedKeyUsage),
    mayDrop.includes('extendedKeyUsages'),
  );
  if (problem !== undefined) {
    throw fault('certificate-wrong-usage', `Extended key usage: ${problem}.`);
  }
}

/**
 * Key usages beyond those asked for are the CA's policy and do not hinder the device. A CA that may drop usages
 * may leave out the extension, or some of them, but not all while granting others.
 */
function usageProblem(
  got: readonly string[] | undefined,
  wanted: readonly string[],
  mayDrop: boolean,
): string | undefined {
  if (wanted.length === 0) return undefined;
  const asked = `${list(wanted)} was asked for`;
  if (got === undefined) return mayDrop ? undefined : `${asked}, and the certificate has none`;
  const missing = wanted.filter((usage) => !got.includes(usage));
  if (missing.length === 0 || (mayDrop && missing.length < wanted.length)) return undefined;
  return `${asked}, and the certificate has ${list(got)}`;
}

/** The subject that was asked for, or with `mayDrop` a part of it. */
function checkSubject({ subject }: CertificateFacts, { wanted, mayDrop }: CheckRequest): void {
  if (sameName(subject, wanted.subject)) return;
  const asked = flat(wanted.subject);
  const got = flat(subject);
  // Some CAs sort the parts or put them in sets of their own: the same attributes name the same subject.
  const extra = without(got, asked);
  const missing = without(asked, got);
  if (extra.length === 0 && (missing.length === 0 || mayDrop.includes('subject'))) return;
  throw fault(
    'certificate-wrong-names',
    `The subject is ${shownName(subject)}; ${shownName(wanted.subject)} was asked for.`,
  );
}

function flat(name: DistinguishedName): string[] {
  return name.flat().map(comparableAttribute);
}

/** What is in `all` more often than in `some`. */
function without(all: readonly string[], some: readonly string[]): string[] {
  const left = [...some];
  return all.filter((one) => {
    const index = left.indexOf(one);
    if (index >= 0) left.splice(index, 1);
    return index < 0;
  });
}

/** Each name that was asked for, unless it may be dropped, and none besides: it would be another's identity. */
function checkAltNames(facts: CertificateFacts, { wanted, mayDrop }: CheckRequest): void {
  const got = facts.subjectAltNames.map(comparableAltName);
  const asked = wanted.subjectAltNames.map(comparableAltName);
  const missing = wanted.subjectAltNames.filter(
    (name) => !got.includes(comparableAltName(name)) && !mayDrop.includes(name.type),
  );
  const extra = got.filter((name) => !asked.includes(name));
  const problems = [
    ...(missing.length > 0 ? [`lacks ${list(missing.map(comparableAltName))}`] : []),
    ...(extra.length > 0 ? [`has ${list(extra)}, which was not asked for`] : []),
  ];
  if (problems.length === 0) return;
  throw fault(
    'certificate-wrong-names',
    `The subject alternative name ${problems.join(' and ')}. ${asked.length === 0 ? 'None' : list(asked)} was asked for.`,
  );
}

/**
 * A Windows domain takes the certificate for the account of this SID, whatever the names say. A CA that builds names
 * from its directory puts its requester's there: ours.
 */
function checkSecurityIdentifier(
  { extensions, subjectAltNames }: CertificateFacts,
  { wanted }: CheckRequest,
): void {
  const found = extensions.find(({ type }) => type === microsoftOid.securityIdentifier);
  const asUri = (names: CertificateFacts['subjectAltNames'], sid: string) =>
    names.some(({ type, value }) => type === 'uri' && value === sidUri(sid));
  if (found === undefined) {
    const asked = wanted.securityIdentifier;
    if (asked === undefined || asUri(subjectAltNames, asked)) return;
    throw fault(
      'certificate-wrong-names',
      `The certificate lacks the security identifier ${asked}, which was asked for: a domain would not map it to the account. Let the CA copy the extension ${microsoftOid.securityIdentifier} from the request, or set the profile’s sid.form to uri.`,
    );
  }
  const sid = sidIn(found.value);
  if (sid !== undefined && sid === wanted.securityIdentifier) return;
  if (sid !== undefined && asUri(wanted.subjectAltNames, sid)) return;
  throw fault(
    'certificate-wrong-names',
    `The certificate has the security identifier ${sid ?? 'of an unknown form'}, which was not asked for: a domain would take it for that account’s. Set the template to “Supply in the request”.`,
  );
}

function sidIn(value: Uint8Array): string | undefined {
  try {
    return decodeSid(value);
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}

/** Host names are compared without regard to case, everything else as it stands (RFC 5280 7.2 to 7.5). */
function comparableAltName({
  type,
  value,
}: {
  readonly type: string;
  readonly value: string;
}): string {
  const at = value.lastIndexOf('@') + 1;
  if (type === 'dns') return `dns ${value.toLowerCase()}`;
  if (type === 'email') return `email ${value.slice(0, at)}${value.slice(at).toLowerCase()}`;
  return `${type} ${value}`;
}

function checkChain(facts: CertificateFacts, { chain, roots, now }: CheckRequest): void {
  if (roots.length === 0) {
    const problem = signatureProblem(facts, chain);
    if (problem === undefined) return;
    throw fault('certificate-untrusted', `The authority’s own chain does not fit: ${problem}.`);
  }
  const result = chainsTo(facts, chain, roots, now);
  if (!result.trusted) {
    const message = `The certificate does not chain to the authority’s roots: ${result.problem}.`;
    throw fault('certificate-untrusted', message);
  }
}

function shownName(name: DistinguishedName): string {
  return name.length === 0 ? 'empty' : shown(formatName(name));
}

/** Names for a message: quoted, control characters escaped, of bounded length. */
function shown(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}

function list(names: readonly string[]): string {
  return names.length === 0 ? 'nothing' : names.slice(0, 10).map(shown).join(', ');
}
