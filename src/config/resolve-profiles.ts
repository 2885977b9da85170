import { resolve } from 'node:path';
import { ProvisioningError } from '../errors.ts';
import type { CertificateProfile } from '../profile/profile.ts';
import { SidFile, sidKeys } from '../profile/sid-file.ts';
import type { AuthorityConfig, ResolveContext } from './config.ts';
import { profile } from './profile-schema.ts';
import type { ConfigFile } from './schema.ts';
import { asRecord, validFields } from './valid-fields.ts';

/** Rules about a profile as a whole, and about the file that it names. */
export function checkProfiles(
  raw: unknown,
  authorities: ReadonlyMap<string, AuthorityConfig>,
  context: ResolveContext,
): void {
  for (const [name, entry] of Object.entries(asRecord(raw))) {
    const { subject, subjectAltNames, sid, template } = asRecord(entry);
    if (template !== undefined) checkTemplate(['profiles', name, 'template'], authorities, context);
    checkSidFile(['profiles', name, 'sid', 'file'], asRecord(sid), context);
    const nameless =
      (subject ?? '') === '' && (subjectAltNames === undefined || isEmptyList(subjectAltNames));
    if (!nameless) {
      checkNames(['profiles', name], entry, authorities, context);
      continue;
    }
    context.report(
      context.document.problem(
        ['profiles', name],
        'has neither a subject nor a subject alternative name',
        'add subject, like CN=${DEVICE_SERIAL_NUMBER}, or an entry under subjectAltNames',
      ),
    );
  }
}

/** Any profile may come with any authority, so it is wrong only where none of them takes a template. */
function checkTemplate(
  path: readonly string[],
  authorities: ReadonlyMap<string, AuthorityConfig>,
  { document, report }: ResolveContext,
): void {
  const all = [...authorities.values()];
  if (all.length === 0 || all.some(({ definition }) => definition.takesTemplate !== false)) return;
  const kinds = [...new Set(all.map(({ kind }) => kind))].toSorted().join(', ');
  const problem = `is for a CA that chooses by one, and none here does (${kinds})`;
  report(document.problem(path, problem, 'remove it: subject, usages and validityDays say it all'));
}

/** The same for its names, as far as they can be read. */
function checkNames(
  path: readonly string[],
  entry: unknown,
  authorities: ReadonlyMap<string, AuthorityConfig>,
  { document, report }: ResolveContext,
): void {
  const { subject, subjectAltNames } = validFields(profile, entry);
  if (subject === undefined || subjectAltNames === undefined) return;
  const names = { subject, subjectAltNames, sid: asRecord(entry)['sid'] !== undefined };
  const said = new Set<string>();
  for (const { kind, definition } of authorities.values()) {
    const problem = definition.profileProblem?.(names);
    if (problem === undefined) return;
    said.add(`${kind} ${problem}`);
  }
  if (said.size === 0) return;
  const fix =
    'add a name that an authority here can certify, or an authority that can certify these';
  report(document.problem(path, `cannot be certified: ${[...said].join('; ')}`, fix));
}

function checkSidFile(
  path: readonly string[],
  { file, key }: Readonly<Record<string, unknown>>,
  context: ResolveContext,
): void {
  const known = sidKeys.find((each) => each === key);
  if (typeof file !== 'string' || known === undefined) return;
  try {
    new SidFile(resolve(context.directory, file), known).refresh();
  } catch (error) {
    if (!(error instanceof ProvisioningError)) throw error;
    context.report(
      context.document.problem(
        path,
        error.message,
        `name a file with a line “${known},SID” for each account`,
      ),
    );
  }
}

/** The profiles by their references, each with its source of SIDs. */
export function resolveProfiles(
  checked: ConfigFile['profiles'],
  directory: string,
): Map<string, CertificateProfile> {
  const profiles = new Map<string, CertificateProfile>();
  for (const [name, { template, sid, ...rest }] of Object.entries(checked)) {
    profiles.set(name, {
      ...rest,
      ...(template === undefined ? {} : { template }),
      ...(sid === undefined
        ? {}
        : {
            sid: {
              source: new SidFile(resolve(directory, sid.file), sid.key),
              form: sid.form,
              unknown: sid.unknown,
            },
          }),
    });
  }
  return profiles;
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}
