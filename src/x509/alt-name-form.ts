export interface SubjectAltName {
  readonly type: 'dns' | 'email' | 'upn' | 'uri';
  readonly value: string;
}

/** Characters at most; RFC 1035 and RFC 5321 for the first two, a bound of our own for the others. */
const most = { dns: 253, email: 254, upn: 256, uri: 2048 } as const;

const label = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?';
const host = new RegExp(`^${label}(?:\\.${label})*$`);
const dotAtom = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;
const uri = /^[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+$/;

/**
 * What is wrong with a subject alternative name; undefined when nothing is.
 *
 * - `dns`: a host name in the preferred syntax (RFC 5280 4.2.1.6), no wildcard, no dot at the end
 * - `email`: a dot-atom, `@` and a host name (RFC 5280's rfc822Name is ASCII)
 * - `upn`: a text with one `@` inside it, no spaces
 * - `uri`: an absolute URI (RFC 3986)
 */
export function altNameProblem({ type, value }: SubjectAltName): string | undefined {
  if (!value.isWellFormed() || /[\p{Cc}\p{Zl}\p{Zp}]/u.test(value)) {
    return 'has a character that no name may have';
  }
  if (value.length > most[type]) {
    return `has ${value.length} characters; ${most[type]} are allowed`;
  }
  switch (type) {
    case 'dns':
      return host.test(value) ? undefined : 'is not a DNS name';
    case 'email': {
      const at = value.lastIndexOf('@');
      const local = value.slice(0, Math.max(0, at));
      const isAddress = local.length <= 64 && dotAtom.test(local) && host.test(value.slice(at + 1));
      return isAddress ? undefined : 'is not an e-mail address';
    }
    case 'upn':
      return /^[^\s@]+@[^\s@]+$/.test(value) ? undefined : 'is not of the form user@realm';
    case 'uri':
      return uri.test(value) ? undefined : 'is not an absolute URI';
  }
}
