import type { IssueRequest } from '../../src/plug-in/certificate-authority.ts';
import type { RequestedCertificate } from '../../src/request/requested-certificate.ts';
import type { SubjectAltName } from '../../src/x509/alt-name-form.ts';
import { encodePem } from '../../src/x509/pem.ts';
import type { KeyUsage } from '../../src/x509/usages.ts';

/** How an order is put; see the options of the same names. */
export interface SignSettings {
  readonly mode: 'sign' | 'sign-verbatim';
  readonly names: 'csr' | 'request';
  readonly validity: 'ttl' | 'notAfter' | 'role';
}

const commonName = '2.5.4.3';
const userPrincipalName = '1.3.6.1.4.1.311.20.2.3';
const dayMs = 86_400_000;

/** The body of sign and sign-verbatim (Vault API, PKI: “Sign certificate”, “Sign verbatim”). */
export function signBody(request: IssueRequest, settings: SignSettings, now: number): object {
  const { wanted } = request;
  return {
    csr: encodePem('CERTIFICATE REQUEST', request.csr),
    format: 'pem',
    ...validityOf(wanted, settings.validity, now),
    ...(settings.mode === 'sign' ? namesOf(wanted, settings.names) : usagesOf(wanted)),
  };
}

function validityOf(
  { validityDays }: RequestedCertificate,
  how: SignSettings['validity'],
  now: number,
): object {
  switch (how) {
    case 'ttl':
      return { ttl: `${Math.round(validityDays * 86_400)}s` };
    case 'notAfter':
      return { not_after: new Date(now + validityDays * dayMs).toISOString().replace(/\.\d+/, '') };
    case 'role':
      return {};
    default:
      return how satisfies never;
  }
}

/** A role takes a name from here only where it does not take it from the CSR; the check sees the rest. */
function namesOf(wanted: RequestedCertificate, from: SignSettings['names']): object {
  const common = wanted.subject.flat().findLast(({ type }) => type === commonName)?.value;
  const given = {
    // Else the common name appears among the alternative names too, where nobody asked for it.
    exclude_cn_from_sans: true,
    ...(common === undefined ? {} : { common_name: common }),
  };
  if (from === 'csr') return given;
  const alternatives = (...types: SubjectAltName['type'][]) =>
    wanted.subjectAltNames.filter(({ type }) => types.includes(type)).map(({ value }) => value);
  return {
    ...given,
    alt_names: alternatives('dns', 'email').join(','),
    uri_sans: alternatives('uri'),
    other_sans: alternatives('upn').map((value) => `${userPrincipalName};UTF8:${value}`),
  };
}

/** Names of Go's x509 package, as Vault has them. They count only where the CSR has no such extension. */
const usageNames: Readonly<Record<KeyUsage, string>> = {
  digitalSignature: 'DigitalSignature',
  nonRepudiation: 'ContentCommitment',
  keyEncipherment: 'KeyEncipherment',
  dataEncipherment: 'DataEncipherment',
  keyAgreement: 'KeyAgreement',
};

function usagesOf({ keyUsages, extendedKeyUsages }: RequestedCertificate): object {
  return {
    key_usage: keyUsages.map((usage) => usageNames[usage]),
    ext_key_usage: [],
    ext_key_usage_oids: extendedKeyUsages,
  };
}
