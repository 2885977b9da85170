import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import type { Config, LoadOptions, ResolveContext } from './config.ts';
import { type ConfigDocument, parseConfigDocument } from './document.ts';
import { explainIssues, missingMessage } from './explain-issue.ts';
import { ConfigError, type ConfigProblem } from './problem.ts';
import { readConfigText } from './read-text.ts';
import { resolveAuthorities } from './resolve-authority.ts';
import { checkProfiles, resolveProfiles } from './resolve-profiles.ts';
import { resolveGoogle, resolveJournal, resolvePubsub } from './resolve-section.ts';
import { configJsonSchema, configSchema } from './schema.ts';
import { asRecord } from './valid-fields.ts';

/**
 * Reads and checks a configuration file, without touching the network.
 * @throws {ConfigError} with every problem that was found, in the file's order.
 */
export async function loadConfig(path: string, options: LoadOptions): Promise<Config> {
  const file = resolve(path);
  const directory = dirname(file);
  const document = parseConfigDocument(await readConfigText(path, '--config'), path);
  const problems: ConfigProblem[] = [...document.problems];
  const { data } = document;
  const checked = configSchema.safeParse(data);
  if (!checked.success) {
    const source = { document, schema: configJsonSchema(), data, prefix: [] };
    problems.push(...explainIssues(checked.error.issues, source));
  }
  const context: ResolveContext = {
    ...options,
    directory,
    document,
    report: (problem) => problems.push(problem),
  };
  const raw = asRecord(data);
  const google = await resolveGoogle(raw['google'], context);
  const pubsub = resolvePubsub(raw['pubsub'], context);
  const journal = await resolveJournal(raw['journal'], context);
  const authorities = await resolveAuthorities(raw['authorities'], context);
  // Of an authority that could not be read nobody knows what it takes.
  const isWhole = authorities.size === Object.keys(asRecord(raw['authorities'])).length;
  checkProfiles(raw['profiles'], isWhole ? authorities : new Map(), context);

  const believed = problems.filter((problem) => believable(problem, document));
  if (believed.length > 0 || !checked.success) throw new ConfigError(believed);
  if (google === undefined || pubsub === undefined || journal === undefined) {
    throw new Error(
      'A part of the configuration could not be resolved and no problem was reported.',
    );
  }
  const { scepProfiles, unmatched, limits, server, log } = checked.data;
  const instance = checked.data.instance ?? hostname();
  const profiles = resolveProfiles(checked.data.profiles, directory);
  return {
    file,
    directory,
    instance,
    google,
    pubsub,
    journal,
    authorities,
    profiles,
    scepProfiles,
    unmatched,
    limits,
    server,
    log,
  };
}

/**
 * Below a line that YAML could not read nothing is to be believed, and a key that seems to be missing may
 * stand there.
 */
function believable(problem: ConfigProblem, document: ConfigDocument): boolean {
  if (document.problems.includes(problem)) return true;
  if (document.brokenFromLine === Number.POSITIVE_INFINITY) return true;
  return problem.line < document.brokenFromLine && problem.message !== missingMessage;
}
