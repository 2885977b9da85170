import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import { type ConfigDocument, parseConfigDocument } from './config/document.ts';
import { explainIssues, missingMessage } from './config/explain-issue.ts';
import { ConfigError, type ConfigProblem } from './config/problem.ts';
import { readConfigText } from './config/read-text.ts';
import { resolveAuthorities } from './config/resolve-authority.ts';
import { checkProfiles, resolveProfiles } from './config/resolve-profiles.ts';
import { resolveGoogle, resolveJournal, resolvePubsub } from './config/resolve-section.ts';
import { type ConfigFile, configJsonSchema, configSchema } from './config/schema.ts';
import { asRecord } from './config/valid-fields.ts';
import type { LoadAdapter } from './issue/adapter-loader.ts';
import type { AdapterDefinition, DroppablePart } from './issue/certificate-authority.ts';
import type { CertificateProfile, ScepDefaults } from './issue/profile.ts';

export { ConfigError, formatProblems } from './config/problem.ts';

/** The configuration as the service uses it: checked, complete, every path absolute, secrets read. */
export interface Config {
  /** Absolute; what is relative in the file starts at `directory`. */
  readonly file: string;
  readonly directory: string;
  /** callerInstanceId. */
  readonly instance: string;
  readonly google: GoogleConfig;
  readonly pubsub: PubsubConfig;
  readonly journal: JournalConfig;
  /** By caConnectionAdapterConfigReference. */
  readonly authorities: ReadonlyMap<string, AuthorityConfig>;
  /** By profileAdapterConfigReference. */
  readonly profiles: ReadonlyMap<string, CertificateProfile>;
  readonly scepProfiles: ScepDefaults;
  readonly unmatched: 'hold' | 'refuse' | 'ignore';
  readonly limits: {
    readonly visits: number;
    readonly signingHours: number;
    readonly issuingHours: number;
    readonly unmatchedHours: number;
    readonly rejectedDevices: number;
    readonly drainSeconds: number;
  };
  readonly server: { readonly host: string; readonly port: number };
  readonly log: ConfigFile['log'];
}

export interface GoogleConfig {
  /** Without a final slash. */
  readonly endpoint: string;
  readonly credentials:
    | { readonly kind: 'application-default' }
    | { readonly kind: 'file'; readonly path: string }
    | { readonly kind: 'none' };
  readonly requestsPerSecond: number;
}

export interface PubsubConfig {
  readonly project: string;
  /** The short name, without `projects/…/subscriptions/`. */
  readonly subscription: string;
  /** `host:port` of an emulator or another endpoint; undefined: Google's own. */
  readonly endpoint?: string;
}

export type JournalConfig = {
  readonly leaseSeconds: number;
  readonly retentionDays: number;
} & (
  | { readonly kind: 'sqlite'; readonly path: string }
  | {
      readonly kind: 'postgres';
      readonly url: string;
      /** The file that the URL came from, absolute: its password may change. */
      readonly urlFile?: string;
    }
  | { readonly kind: 'memory' }
);

export interface AuthorityConfig {
  readonly kind: string;
  readonly definition: AdapterDefinition;
  /** As the adapter's own schema gave them. */
  readonly options: unknown;
  readonly concurrency: number;
  readonly requestsPerSecond?: number;
  readonly timeoutSeconds: number;
  /** Certificates that issued ones must chain to, DER each; empty: the chain is not checked. */
  readonly roots: readonly Uint8Array[];
  /** Files with more of them that the kind makes when it connects for the first time. Absolute. */
  readonly lateRootFiles: readonly string[];
  readonly mayDrop: readonly DroppablePart[];
  /** Object identifiers, and `sha1Signature`. */
  readonly mayAdd: readonly string[];
}

export interface LoadOptions {
  readonly loadAdapter: LoadAdapter;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** What the parts of the configuration are resolved with. */
export interface ResolveContext extends LoadOptions {
  readonly directory: string;
  readonly document: ConfigDocument;
  report(problem: ConfigProblem): void;
}

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
