import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import type { Config, LoadedAuthority } from './config.ts';
import { type ConfigDocument, parseConfigDocument } from './explain/document.ts';
import { explainIssues, missingMessage } from './explain/explain-issue.ts';
import { ConfigError, type ConfigProblem } from './explain/problem.ts';
import { authorityConfig, loadAuthority } from './load/authorities.ts';
import { found, type LoadContext, type LoadOptions } from './load/context.ts';
import { checkKeyFile, googleConfig } from './load/google.ts';
import { journalConfig, journalUrl } from './load/journal.ts';
import { checkProfiles, type Kind, profileConfig } from './load/profiles.ts';
import { readConfigText } from './load/read-text.ts';
import { type SoundParts, soundParts } from './load/sound-parts.ts';
import { type ConfigFile, configJsonSchema, configSchema } from './schema/config-schema.ts';

/**
 * Reads and checks a configuration file, without touching the network.
 * @throws {ConfigError} with every problem that was found, in the file's order.
 */
export async function loadConfig(path: string, options: LoadOptions): Promise<Config> {
  const file = resolve(path);
  const document = parseConfigDocument(await readConfigText(path, '--config'), path);
  const { data } = document;
  const problems: ConfigProblem[] = [];
  const context: LoadContext = {
    ...options,
    directory: dirname(file),
    report: (...problem) => problems.push(document.problem(...problem)),
  };
  const checked = configSchema.safeParse(data);
  if (!checked.success) {
    const source = { schema: configJsonSchema(), data, prefix: [] };
    for (const finding of explainIssues(checked.error.issues, source)) context.report(...finding);
  }
  const outside = await lookOutside(checked.data ?? soundParts(data), context);
  const believed = problems.filter((problem) => isBelievable(problem, document));
  if (checked.success && document.problems.length + believed.length === 0) {
    return configOf(checked.data, outside, file, context);
  }
  throw new ConfigError([...document.problems, ...believed]);
}

/** What the file refers to. */
interface Outside {
  readonly connection: string | undefined;
  readonly authorities: ReadonlyMap<string, LoadedAuthority | undefined>;
}

/** Reads what the file refers to and reports what cannot be used. */
async function lookOutside(parts: SoundParts, context: LoadContext): Promise<Outside> {
  await checkKeyFile(parts.google, context);
  const connection = await journalUrl(parts.journal, context);
  const authorities = new Map<string, LoadedAuthority | undefined>();
  const kinds: Kind[] = [];
  for (const [reference, authority] of Object.entries(parts.authorities)) {
    const loaded = await loadAuthority(reference, authority, context);
    authorities.set(reference, loaded);
    const { kind } = authority;
    if (loaded !== undefined && kind !== undefined) kinds.push({ kind, ...loaded });
  }
  // Of an authority whose kind cannot be had nobody knows what it takes.
  checkProfiles(parts.profiles, kinds.length === authorities.size ? kinds : [], context);
  return { connection, authorities };
}

function configOf(
  { google, pubsub, journal, authorities, profiles, instance = hostname(), ...rest }: ConfigFile,
  outside: Outside,
  file: string,
  { directory, env }: LoadContext,
): Config {
  const mapped = <Value, Result>(
    group: Readonly<Record<string, Value>>,
    make: (value: Value, reference: string) => Result,
  ) => new Map(Object.entries(group).map(([name, value]) => [name, make(value, name)]));
  return {
    ...rest,
    file,
    directory,
    instance,
    google: googleConfig(google, directory),
    pubsub: { ...pubsub, endpoint: pubsub.endpoint ?? (env['PUBSUB_EMULATOR_HOST'] || undefined) },
    journal: journalConfig(journal, outside.connection, directory),
    authorities: mapped(authorities, (authority, reference) =>
      authorityConfig(authority, found(outside.authorities.get(reference))),
    ),
    profiles: mapped(profiles, (profile) => profileConfig(profile, directory)),
  };
}

/**
 * Below a line that YAML could not read nothing is to be believed, and a key that seems to be missing may
 * stand there.
 */
function isBelievable({ line, message }: ConfigProblem, { brokenFromLine }: ConfigDocument) {
  if (brokenFromLine === Number.POSITIVE_INFINITY) return true;
  return line < brokenFromLine && message !== missingMessage;
}
