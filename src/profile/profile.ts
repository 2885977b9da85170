import { ProvisioningError } from '../errors.ts';
import type { RequestedCertificate, Subject } from '../request/requested-certificate.ts';
import type { ScepProfile } from '../request/scep-profile.ts';
import type { SubjectAltName } from '../x509/alt-name-form.ts';
import { altNameProblem } from '../x509/alt-name-form.ts';
import { attributeType, attributeTypeNamed } from '../x509/attribute-types.ts';
import type { DistinguishedName, NameAttribute } from '../x509/distinguished-name.ts';
import { NameError, nameProblem, parseName } from '../x509/distinguished-name.ts';
import { isSidUri, sidUri } from '../x509/microsoft-extensions.ts';
import type { KeyUsage } from '../x509/usages.ts';
import { expandTemplate, hasVariables, templateProblem } from './name-template.ts';

/** A profile of the configuration. */
export interface CertificateProfile {
  /** RFC 4514, with variables inside the values. Empty: no subject. */
  readonly subject: string;
  /** `value` is a template. */
  readonly subjectAltNames: readonly SubjectAltName[];
  readonly keyUsages: readonly KeyUsage[];
  /** Object identifiers in dots. */
  readonly extendedKeyUsages: readonly string[];
  readonly validityDays: number;
  readonly template?: string | undefined;
  readonly sid?: SidWish;
}

/** A SID in the certificate, for domains that map certificates to accounts by it (KB5014754). */
export interface SidWish {
  /** Where SIDs come from; throws what ends or delays the process. */
  readonly source: { sidOf(subject: Subject): string | undefined };
  /** As Microsoft's extension, as a subject alternative name of type URI, or both. */
  readonly form: 'extension' | 'uri' | 'both';
  /** What happens to a process whose SID the source does not know. */
  readonly unknown: 'refuse' | 'omit';
}

/** What a SCEP profile of the Admin console does not say. */
export type ScepDefaults = Pick<CertificateProfile, 'extendedKeyUsages' | 'validityDays'>;

/** Where a template's result is used: what it must be, and how values are escaped. */
export type TemplatePlace = 'subject' | SubjectAltName['type'];

const mostAltNames = 32;
const mostTemplateNameCharacters = 256;

/**
 * The certificate to ask for by a profile of the configuration. The subject's template is read as a name
 * first and filled in afterwards, value by value: what Google's record holds can never add a part to it.
 *
 * @throws {ProvisioningError} `name-empty`, `name-invalid`, `name-unresolved`, `sid-unknown`, `sid-file-unusable`.
 */
export function wantedFromProfile(
  profile: CertificateProfile,
  subject: Subject,
): RequestedCertificate {
  const { keyUsages, extendedKeyUsages, validityDays, template } = profile;
  const names = {
    subject: expandName(parseTemplate(profile.subject), subject),
    subjectAltNames: expandAltNames(profile.subjectAltNames, subject),
  };
  checkNames(names);
  return {
    ...withSid(names, sidFor(profile.sid, subject), profile.sid?.form),
    keyUsages,
    extendedKeyUsages,
    validityDays,
    ...(template === undefined ? {} : { template: checkedTemplateName(template) }),
  };
}

/**
 * The certificate to ask for by a SCEP profile of the Admin console. Google expands its variables or does
 * not; those that are left are filled in here. Its fields are plain texts, so nothing in them is RFC 4514.
 *
 * @throws {ProvisioningError} `name-empty`, `name-invalid`, `name-unresolved`.
 */
export function wantedFromScepProfile(
  scep: ScepProfile,
  defaults: ScepDefaults,
  subject: Subject,
): RequestedCertificate {
  // In the order of encoding, the widest first.
  const fields: readonly (readonly [string, string | undefined])[] = [
    ['C', scep.country],
    ['ST', scep.state],
    ['L', scep.locality],
    ['O', scep.organization],
    ...scep.organizationalUnits.map((unit) => ['OU', unit] as const),
    ['CN', scep.subjectCommonName],
  ];
  const name = fields.flatMap(([keyword, value]) => {
    const type = attributeTypeNamed(keyword)?.oid;
    return type === undefined || value === undefined || value.trim() === ''
      ? []
      : [[{ type, value }]];
  });
  const names = {
    subject: expandName(name, subject),
    subjectAltNames: expandAltNames(scep.subjectAltNames, subject),
  };
  checkNames(names);
  const template = scep.certificateTemplateName?.trim();
  return {
    ...names,
    keyUsages: [...new Set(scep.keyUsages.map((usage) => keyUsageOfScep[usage]))],
    extendedKeyUsages: defaults.extendedKeyUsages,
    validityDays: defaults.validityDays,
    ...(template ? { template: checkedTemplateName(template) } : {}),
  };
}

const keyUsageOfScep = {
  SIGNING: 'digitalSignature',
  KEY_ENCIPHERMENT: 'keyEncipherment',
} as const satisfies Record<ScepProfile['keyUsages'][number], KeyUsage>;

/**
 * What is wrong with a template of the configuration, as a sentence that says how to fix it; undefined when nothing
 * is. Whether the expanded name is too long is known only when it is expanded.
 */
export function checkTemplate(text: string, place: TemplatePlace): string | undefined {
  const problem = templateProblem(text);
  if (problem !== undefined) return problem;
  if (place !== 'subject') {
    if (text.trim() === '') return 'It is empty.';
    const fault = hasVariables(text) ? undefined : altNameProblem({ type: place, value: text });
    return fault === undefined ? undefined : `“${text.slice(0, 100)}” ${fault}.`;
  }
  try {
    const literals = parseName(text).map((rdn) => rdn.filter(({ value }) => !hasVariables(value)));
    return nameProblem(literals.filter((rdn) => rdn.length > 0));
  } catch (error) {
    if (error instanceof NameError) return error.message;
    throw error;
  }
}

function parseTemplate(template: string): DistinguishedName {
  try {
    return parseName(template);
  } catch (error) {
    if (!(error instanceof NameError)) throw error;
    const message = `The profile’s subject is not a name. ${error.message}`;
    throw new ProvisioningError('name-invalid', message, { cause: error });
  }
}

function expandName(name: DistinguishedName, subject: Subject): DistinguishedName {
  const expand = ({ type, value }: NameAttribute): NameAttribute => {
    const what = `The subject’s ${attributeType(type)?.keyword ?? type}`;
    return { type, value: expandTemplate(value, subject, what).trim() };
  };
  return name.map((rdn) => rdn.map(expand));
}

function expandAltNames(
  templates: readonly SubjectAltName[],
  subject: Subject,
): readonly SubjectAltName[] {
  if (templates.length > mostAltNames) {
    throw new ProvisioningError(
      'name-invalid',
      `The profile has ${templates.length} subject alternative names; ${mostAltNames} are allowed.`,
    );
  }
  const names = new Map<string, SubjectAltName>();
  for (const [index, { type, value: template }] of templates.entries()) {
    const what = `Subject alternative name ${index + 1} (${type})`;
    const value = expandTemplate(
      template.trim(),
      subject,
      what,
      type === 'uri' ? percentEncode : undefined,
    );
    if (value === '') throw new ProvisioningError('name-empty', `${what} is empty.`);
    const problem = altNameProblem({ type, value });
    if (problem !== undefined) {
      throw new ProvisioningError('name-invalid', `${what} ${problem}.`);
    }
    if (hasVariables(template) && isSidUri(value)) {
      throw new ProvisioningError(
        'name-invalid',
        `${what} would be a SID made of Google’s record. A SID comes only from the profile’s sid.file.`,
      );
    }
    names.set(`${type}:${value}`, { type, value });
  }
  return [...names.values()];
}

/** Everything but RFC 3986's unreserved characters. */
function percentEncode(value: string): string {
  return encodeURIComponent(value.toWellFormed()).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

type Names = Pick<RequestedCertificate, 'subject' | 'subjectAltNames'>;

function withSid(
  names: Names,
  sid: string | undefined,
  form: SidWish['form'] = 'extension',
): Names & Pick<RequestedCertificate, 'securityIdentifier'> {
  if (sid === undefined) return names;
  const uri = { type: 'uri', value: sidUri(sid) } as const;
  return {
    ...names,
    ...(form === 'extension' ? {} : { subjectAltNames: [...names.subjectAltNames, uri] }),
    ...(form === 'uri' ? {} : { securityIdentifier: sid }),
  };
}

function sidFor(wish: SidWish | undefined, subject: Subject): string | undefined {
  const sid = wish?.source.sidOf(subject);
  if (wish?.unknown === 'refuse' && sid === undefined) {
    throw new ProvisioningError(
      'sid-unknown',
      `The profile’s sid.file has no line for this ${subject.kind}.`,
    );
  }
  return sid;
}

function checkNames(names: Names): void {
  if (names.subject.length === 0 && names.subjectAltNames.length === 0) {
    throw new ProvisioningError(
      'name-empty',
      'The profile gives neither a subject nor a subject alternative name.',
    );
  }
  const problem = nameProblem(names.subject);
  if (problem !== undefined) {
    throw new ProvisioningError('name-invalid', `The certificate’s subject: ${problem}`);
  }
}

/** It becomes a BMPString: nothing outside the Basic Multilingual Plane. */
function checkedTemplateName(template: string): string {
  if (
    template.length <= mostTemplateNameCharacters &&
    !/[\p{Cc}\p{Cs}]|[^\0-\uffff]/u.test(template)
  ) {
    return template;
  }
  const message = `The certificate template’s name is too long or has characters it cannot have.`;
  throw new ProvisioningError('name-invalid', message);
}
