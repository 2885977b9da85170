import type { RequestedCertificate } from '../../src/issue/certificate-authority.ts';

const hostName = /^(?=.{1,253}$)([a-z0-9_]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$/i;

/**
 * The DNS names of a request, each once and in lower case. A common name that is a host name is one of them:
 * the CSR must name exactly the identifiers of its order (RFC 8555 7.4), and servers look there too.
 */
export function dnsNamesOf({ subject, subjectAltNames }: RequestedCertificate): string[] {
  const commonNames = subject
    .flat()
    .filter(({ type, value }) => type === '2.5.4.3' && hostName.test(value));
  const altNames = subjectAltNames.filter(({ type }) => type === 'dns');
  const names = [...commonNames, ...altNames].map(({ value }) => value.toLowerCase());
  return [...new Set(names)];
}
