import { resolve } from 'node:path';
import { ProvisioningError } from '../../errors.ts';
import type { AdapterDefinition } from '../../plug-in/certificate-authority.ts';
import type { CertificateProfile } from '../../profile/profile.ts';
import { SidFile } from '../../profile/sid-file.ts';
import type { Path } from '../explain/document.ts';
import type { ConfigFile } from '../schema/config-schema.ts';
import type { LoadContext } from './context.ts';
import type { SoundParts, SoundProfile } from './sound-parts.ts';

/** An authority's kind as the file names it, and what it is. */
export interface Kind {
  readonly kind: string;
  readonly definition: AdapterDefinition;
}

/**
 * Looks whether the authorities can certify the profiles, and whether the files of SIDs can be used. Any profile may
 * come with any authority, so it is wrong only where none of them takes it. `kinds` is empty where one is not known.
 */
export function checkProfiles(
  profiles: SoundParts['profiles'],
  kinds: readonly Kind[],
  context: LoadContext,
): void {
  for (const [name, profile] of Object.entries(profiles)) {
    const path = ['profiles', name];
    if (profile.template !== undefined) checkTemplate([...path, 'template'], kinds, context);
    checkSidFile([...path, 'sid', 'file'], profile, context);
    checkNames(path, profile, kinds, context);
  }
}

function checkTemplate(path: Path, kinds: readonly Kind[], { report }: LoadContext): void {
  const takesNone = kinds.every(({ definition }) => definition.takesTemplate === false);
  if (kinds.length === 0 || !takesNone) return;
  const names = [...new Set(kinds.map(({ kind }) => kind))].toSorted().join(', ');
  report(
    path,
    `is for a CA that chooses by one, and none here does (${names})`,
    'remove it: subject, usages and validityDays say it all',
  );
}

function checkNames(
  path: Path,
  { subject, subjectAltNames, sid }: SoundProfile,
  kinds: readonly Kind[],
  { report }: LoadContext,
): void {
  if (subject === undefined || subjectAltNames === undefined) return;
  if (subject === '' && subjectAltNames.length === 0) return;
  const said = new Set<string>();
  for (const { kind, definition } of kinds) {
    const problem = definition.profileProblem?.({
      subject,
      subjectAltNames,
      sid: sid !== undefined,
    });
    if (problem === undefined) return;
    said.add(`${kind} ${problem}`);
  }
  if (said.size === 0) return;
  report(
    path,
    `cannot be certified: ${[...said].join('; ')}`,
    'add a name that an authority here can certify, or an authority that can certify these',
  );
}

function checkSidFile(path: Path, { sid }: SoundProfile, { directory, report }: LoadContext): void {
  if (sid?.file === undefined || sid.key === undefined) return;
  try {
    new SidFile(resolve(directory, sid.file), sid.key).refresh();
  } catch (error) {
    if (!(error instanceof ProvisioningError)) throw error;
    report(path, error.message, `name a file with a line “${sid.key},SID” for each account`);
  }
}

export function profileConfig(
  { sid, ...profile }: ConfigFile['profiles'][string],
  directory: string,
): CertificateProfile {
  if (sid === undefined) return profile;
  const { file, key, ...wish } = sid;
  return { ...profile, sid: { ...wish, source: new SidFile(resolve(directory, file), key) } };
}
