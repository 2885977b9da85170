import type { ProfileNames } from '../../src/plug-in/certificate-authority.ts';
import type { CsrNames } from '../../src/request/requested-certificate.ts';
import { parseName } from '../../src/x509/distinguished-name.ts';

const commonName = '2.5.4.3';
const hostName = /^(?=.{1,253}$)([a-z0-9_]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$/i;

/**
 * The DNS names of a request, each once and in lower case. A common name that is a host name is one of them:
 * the CSR must name exactly the identifiers of its order (RFC 8555 7.4), and servers look there too.
 */
export function dnsNamesOf(wanted: CsrNames): string[] {
  const { subject, subjectAltNames } = certifiableNames(wanted);
  const names = [...subject.flat(), ...subjectAltNames].map(({ value }) => value.toLowerCase());
  return [...new Set(names)];
}

/** What of a request's names an ACME CA certifies. Many refuse a CSR with anything else in it. */
export function certifiableNames({ subject, subjectAltNames }: CsrNames): CsrNames {
  const commonNames = subject
    .flat()
    .filter(({ type, value }) => type === commonName && hostName.test(value));
  return {
    // One common name at most: the first, as servers read it. Others are alternative names where they are wanted.
    subject: commonNames.slice(0, 1).map((attribute) => [attribute]),
    subjectAltNames: subjectAltNames.filter(({ type }) => type === 'dns'),
  };
}

/** Why no ACME CA can certify a profile: none of its names can become a DNS name, or a SID would be lost. */
export function profileProblem(names: ProfileNames): string | undefined {
  if (names.sid) return 'puts no SID into a certificate';
  const hasDnsName = names.subjectAltNames.some(({ type }) => type === 'dns');
  if (hasDnsName || mayBeHostName(names.subject)) return undefined;
  return 'certifies DNS names and nothing else, and this profile has none';
}

/** Only a variable with a domain in it brings the dot that a host name needs. */
function mayBeHostName(subject: string): boolean {
  const sample = (value: string) =>
    value.replace(/\$\{[^}]*\}/g, (variable) =>
      variable.includes('DOMAIN') ? 'example.org' : 'x',
    );
  try {
    const attributes = parseName(subject).flat();
    return attributes.some(
      ({ type, value }) => type === commonName && hostName.test(sample(value)),
    );
  } catch {
    return true; // It is no name at all, which is told elsewhere.
  }
}
