import { hash, X509Certificate } from 'node:crypto';
import { messageOf } from '../words/message-of.ts';
import { type CertificateFacts, readCertificate } from './certificate.ts';
import { hasSigned } from './certificate-signature.ts';
import { formatName } from './distinguished-name.ts';
import { extensionOid } from './extensions.ts';

/** Whether a chain was found: then from the leaf to its root, each in DER; otherwise why not. */
export type ChainResult =
  | { readonly trusted: true; readonly chain: readonly Uint8Array[] }
  | { readonly trusted: false; readonly problem: string };

/** Certificates above the leaf. */
const mostDepth = 8;
const mostIntermediates = 20;
/** Signature checks for one leaf: an answer full of look-alikes must not keep a worker busy. */
const mostChecks = 100;

/** Critical extensions that are known; what they say beyond the basics is the relying party's to hold. */
export const understoodExtensions: ReadonlySet<string> = new Set<string>([
  extensionOid.basicConstraints,
  extensionOid.keyUsage,
  extensionOid.extendedKeyUsage,
  extensionOid.subjectAltName,
  '2.5.29.30', // nameConstraints
  '2.5.29.31', // cRLDistributionPoints
  '2.5.29.32', // certificatePolicies
  '2.5.29.33', // policyMappings
  '2.5.29.36', // policyConstraints
  '2.5.29.54', // inhibitAnyPolicy
]);

class Known {
  readonly facts: CertificateFacts;
  /** Those whose signature on it was verified. */
  readonly signedBy = new WeakSet<CertificateFacts>();
  #x509: X509Certificate | undefined;

  constructor(facts: CertificateFacts, x509?: X509Certificate) {
    this.facts = facts;
    this.#x509 = x509;
  }

  get x509(): X509Certificate {
    this.#x509 ??= new X509Certificate(this.facts.der);
    return this.#x509;
  }
}

interface Link {
  readonly known: Known;
  readonly isRoot: boolean;
}

/**
 * Looks for a chain from a certificate to one of the roots, with the validity of every link, its CA flag,
 * key usage and path length (RFC 5280 6.1), and verifies every signature but a root's own. A root is trusted
 * because it was given; it need not be self-signed nor say that it is a CA's (RFC 5280 6.1.4(k) asks that of those
 * below it: roots of version 1 cannot), but must be valid now and may not say the contrary. Revocation, policies and name
 * constraints are not looked at.
 *
 * @param leaf DER, or read already.
 * @param intermediates DER each, in any order; what does not belong to the chain does no harm.
 * @param now milliseconds since the epoch.
 */
export function chainsTo(
  leaf: Uint8Array | CertificateFacts,
  intermediates: readonly Uint8Array[],
  roots: readonly Uint8Array[],
  now: number,
): ChainResult {
  if (intermediates.length > mostIntermediates) {
    return untrusted(`it came with ${intermediates.length} others; ${mostIntermediates} are read`);
  }
  try {
    const issuers = [
      ...roots.map((der) => readLink(der, true)),
      ...intermediates.map((der) => readLink(der, false)),
    ];
    const facts = leaf instanceof Uint8Array ? readCertificate(leaf) : leaf;
    return search(new Known(facts), issuers, now);
  } catch (error) {
    return untrusted(messageOf(error));
  }
}

function untrusted(problem: string): ChainResult {
  return { trusted: false, problem };
}

/**
 * Why the certificates that came with a leaf cannot be its chain: one of them has its issuer's name, and none that
 * has it made its signature; likewise for each one above. What is not there is not missed, and a CA that was given a
 * new key is not there while only its earlier certificate is: the name is the same, the key identifiers differ.
 *
 * @param chain DER each, in any order.
 */
export function signatureProblem(
  leaf: CertificateFacts,
  chain: readonly Uint8Array[],
): string | undefined {
  if (chain.length === 0) return undefined;
  try {
    const all = chain.slice(0, mostKnown).map(readKnown);
    let child = new Known(leaf);
    for (let depth = 0; depth <= mostDepth; depth++) {
      const named = all.filter((one) => mayHaveIssued(one, child));
      if (named.length === 0 || named.includes(child)) return undefined;
      const issuer = named.find((one) => isSigned(child, one));
      if (issuer === undefined) {
        return `the signature of ${describe(child)} is not by ${named.map(describe).join(' nor ')}`;
      }
      child = issuer;
    }
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

function mayHaveIssued(issuer: Known, child: Known): boolean {
  const isNamed = Buffer.compare(issuer.facts.subjectName, child.facts.issuer) === 0;
  if (!isNamed && issuer.x509.subject !== child.x509.issuer) return false;
  const { authorityKeyIdentifier: meant } = child.facts;
  const { subjectKeyIdentifier: own } = issuer.facts;
  return meant === undefined || own === undefined || Buffer.compare(meant, own) === 0;
}

/** CA certificates that were read before, by SHA-256: an authority's chain is the same for months. */
const known = new Map<string, Known>();
const mostKnown = 100;

/** A certificate of a CA. @throws {Error} with a sentence that says why it cannot be read. */
export function readKnown(der: Uint8Array): Known {
  const fingerprint = hash('sha256', der, 'base64');
  const found = known.get(fingerprint) ?? new Known(readCertificate(der), new X509Certificate(der));
  if (known.size >= mostKnown && !known.has(fingerprint)) known.clear();
  known.set(fingerprint, found);
  return found;
}

/** Verified once for each two that are known. */
function isSigned(child: Known, issuer: Known): boolean {
  if (child.signedBy.has(issuer.facts)) return true;
  const { publicKey } = issuer.x509;
  if (!(hasSigned(publicKey, child.facts) ?? child.x509.verify(publicKey))) return false;
  child.signedBy.add(issuer.facts);
  return true;
}

function readLink(der: Uint8Array, isRoot: boolean): Link {
  return { known: readKnown(der), isRoot };
}

/** Depth first, roots before intermediates; the problem reported is the one found farthest up. */
function search(leaf: Known, issuers: readonly Link[], now: number): ChainResult {
  let checks = 0;
  let deepest = 0;
  let problem = `no certificate of its issuer (${leaf.x509.issuer.replaceAll('\n', ', ')}) is at hand`;
  const note = (depth: number, text: string) => {
    if (depth <= deepest) return;
    deepest = depth;
    problem = text;
  };

  function climb(path: readonly Known[]): readonly Known[] | undefined {
    const child = path.at(-1);
    if (child === undefined || path.length > mostDepth) return undefined;
    for (const link of issuers) {
      const { known: issuer, isRoot } = link;
      if (path.includes(issuer) || !child.x509.checkIssued(issuer.x509)) continue;
      if (++checks > mostChecks) return undefined;
      const fault = issuerProblem(link, path, now);
      if (fault !== undefined) {
        note(path.length, `${describe(issuer)} ${fault}`);
        continue;
      }
      if (!isSigned(child, issuer)) {
        note(path.length, `the signature of ${describe(child)} is not by ${describe(issuer)}`);
        continue;
      }
      const longer = [...path, issuer];
      if (isRoot) return longer;
      note(path.length, `${describe(issuer)} leads to none of the roots`);
      const whole = climb(longer);
      if (whole !== undefined) return whole;
    }
    return undefined;
  }

  const chain = climb([leaf]);
  return chain === undefined
    ? untrusted(problem)
    : { trusted: true, chain: chain.map(({ facts }) => facts.der) };
}

/** Why a certificate may not be the issuer of the last one of `path`. */
function issuerProblem(
  { known: { facts }, isRoot }: Link,
  path: readonly Known[],
  now: number,
): string | undefined {
  if (now < facts.notBefore) return 'is not valid yet';
  if (now > facts.notAfter) return 'has expired';
  if (!facts.isCa && !(isRoot && saysNothing(facts))) return 'is no CA';
  if (facts.keyUsages !== undefined && !facts.keyUsages.includes('keyCertSign')) {
    return 'may not sign certificates';
  }
  // Self-issued CAs (a key change) do not count (RFC 5280 4.2.1.9).
  const below = path.slice(1).filter(({ x509 }) => x509.subject !== x509.issuer).length;
  if (facts.pathLength !== undefined && below > facts.pathLength) {
    return `allows ${facts.pathLength} CAs below it, not ${below}`;
  }
  const unknown = facts.extensions.find(
    ({ type, critical }) => critical && !understoodExtensions.has(type),
  );
  return unknown === undefined ? undefined : `has the unknown critical extension ${unknown.type}`;
}

function saysNothing({ extensions }: CertificateFacts): boolean {
  return extensions.every(({ type }) => type !== extensionOid.basicConstraints);
}

function describe({ facts }: Known): string {
  return `“${formatName(facts.subject).slice(0, 200)}”`;
}
