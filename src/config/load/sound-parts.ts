import { z } from 'zod';
import { authority } from '../schema/authority-schema.ts';
import { google } from '../schema/google-schema.ts';
import { journal } from '../schema/journal-schema.ts';
import { profile, sid } from '../schema/profile-schema.ts';

/*
 * What is right in a file in which something is wrong. One mistake must not hide another, so the secrets, files and kinds
 * that the right parts name are looked at all the same.
 */

/** A checked group; a key is undefined where it is not written, and where it is wrong. */
type Sound<Group extends z.ZodType> = {
  readonly [Key in keyof z.output<Group>]?: z.output<Group>[Key] | undefined;
};

export type SoundGoogle = Sound<typeof google>;
export type SoundJournal = Sound<typeof journal>;
export type SoundAuthority = Sound<typeof authority>;
export interface SoundProfile extends Omit<Sound<typeof profile>, 'sid'> {
  readonly sid?: Sound<typeof sid> | undefined;
}

/** The sections that refer to something outside the file. */
export interface SoundParts {
  readonly google: SoundGoogle;
  readonly journal: SoundJournal;
  readonly authorities: Readonly<Record<string, SoundAuthority>>;
  readonly profiles: Readonly<Record<string, SoundProfile>>;
}

/** Made when it is first needed: most files are right. */
let known: ReturnType<typeof soundFile> | undefined;

/** Never throws, whatever `data` is. */
export function soundParts(data: unknown): SoundParts {
  known ??= soundFile();
  return known.parse(data);
}

function soundFile() {
  const soundProfile = sound(profile).extend({ sid: sound(sid).optional().catch({}) });
  const file = z.object({
    google: sound(google).catch({}),
    journal: sound(journal).catch({}),
    authorities: z.record(z.string(), sound(authority).catch({})).catch({}),
    profiles: z.record(z.string(), soundProfile.catch({})).catch({}),
  });
  return file.catch({ google: {}, journal: {}, authorities: {}, profiles: {} });
}

/** The same keys, each with undefined in place of a mistake. Other keys, and rules that span several, do not count. */
function sound<Shape extends z.core.$ZodShape>({ shape }: z.ZodObject<Shape>) {
  type Fields = { [Key in keyof Shape]: z.ZodCatch<z.ZodOptional<Shape[Key]>> };
  const fields = Object.entries(shape).map(([key, field]) => [key, z.catch(field, undefined)]);
  return z.object(Object.fromEntries(fields) as Fields);
}
