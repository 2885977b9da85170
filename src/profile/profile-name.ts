import { hash } from 'node:crypto';
import type { RequestedCertificate } from '../request/requested-certificate.ts';
import type { CertificateProfile } from './profile.ts';

/*
 * What the refusal guard knows a profile by: its name, and after a # a hash of what it asks for, so a changed profile
 * has to prove itself anew.
 */

const hashDigits = 12;

/** Of a profile of the configuration. */
export function nameOfProfile(reference: string, profile: CertificateProfile): string {
  const { sid, ...rest } = profile;
  return named(reference, { ...rest, sid: sid && [sid.form, sid.unknown] });
}

/**
 * Of a SCEP profile of the Admin console, by Google's id. Google may have filled in its names, so only their kinds
 * count.
 */
export function nameOfScepProfile(id: string, wanted: RequestedCertificate): string {
  const { subject, subjectAltNames, ...rest } = wanted;
  const attributes = subject.flatMap((rdn) => rdn.map(({ type }) => type));
  return named(id, { ...rest, attributes, names: subjectAltNames.map(({ type }) => type) });
}

function named(name: string, content: unknown): string {
  return `${name}#${hash('sha256', JSON.stringify(content), 'hex').slice(0, hashDigits)}`;
}
