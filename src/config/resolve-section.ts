import { resolve } from 'node:path';
import { JournalError } from '../journal/journal.ts';
import { checkTlsFiles } from '../journal/postgres-tls.ts';
import { readPostgresUrl, trustProblem } from '../journal/postgres-url.ts';
import { readSecret } from '../plug-in/secret.ts';
import type { GoogleConfig, JournalConfig, PubsubConfig, ResolveContext } from './config.ts';
import type { Path } from './document.ts';
import { google, journal, pubsub } from './schema.ts';
import { asRecord, validFields } from './valid-fields.ts';

/*
 * Rules that span several keys or look outside the file. Each function gives undefined when the section
 * cannot be used; what is wrong with it has been reported then.
 */

export async function resolveGoogle(
  raw: unknown,
  context: ResolveContext,
): Promise<GoogleConfig | undefined> {
  const { endpoint, credentials, requestsPerSecond } = validFields(google, raw);
  if (endpoint !== undefined) checkEndpoint(new URL(endpoint), credentials, context);
  if (typeof credentials === 'object') {
    await checkKeyFile(resolve(context.directory, credentials.file), context);
  }
  if (endpoint === undefined || credentials === undefined || requestsPerSecond === undefined) {
    return undefined;
  }
  return {
    endpoint: endpoint.replace(/\/+$/, ''),
    credentials:
      typeof credentials === 'object'
        ? { kind: 'file', path: resolve(context.directory, credentials.file) }
        : { kind: credentials },
    requestsPerSecond,
  };
}

function checkEndpoint(endpoint: URL, credentials: unknown, context: ResolveContext): void {
  if (endpoint.username !== '' || endpoint.password !== '') {
    report(
      context,
      ['google', 'endpoint'],
      'must not hold a user name or a password',
      'remove what stands before the @; who we are is said by google.credentials',
    );
  }
  if (isLoopback(endpoint.hostname)) return;
  if (credentials === 'none') {
    report(
      context,
      ['google', 'credentials'],
      'none is allowed only with a loopback endpoint',
      'write application-default or { file: PATH }, or point google.endpoint at the simulator',
    );
  }
  if (endpoint.protocol === 'http:') {
    report(
      context,
      ['google', 'endpoint'],
      'plain http would show access tokens to the network',
      'write https://, or a loopback address for the simulator',
    );
  }
}

async function checkKeyFile(file: string, context: ResolveContext): Promise<void> {
  const path = ['google', 'credentials', 'file'];
  let text: string;
  try {
    text = await readSecret({ file }, context.env, context.directory);
  } catch (error) {
    return reportError(context, path, error);
  }
  if (!isKeyFile(text)) {
    report(
      context,
      path,
      `the file ${file} is neither a service-account key nor a workload-identity file`,
      'name the JSON file that Google Cloud gave, unchanged',
    );
  }
}

const keyFileTypes: readonly unknown[] = ['service_account', 'external_account'];

function isKeyFile(text: string): boolean {
  try {
    return keyFileTypes.includes(asRecord(JSON.parse(text))['type']);
  } catch {
    // The parser's error would quote the file, and the file is a secret.
    return false;
  }
}

export function resolvePubsub(raw: unknown, context: ResolveContext): PubsubConfig | undefined {
  const { project, subscription, endpoint } = validFields(pubsub, raw);
  const given = asRecord(raw);
  if (subscription === undefined) return undefined;
  const [, ownProject, , shortName] =
    /^projects\/([^/]+)(\/subscriptions\/)(.+)$/.exec(subscription) ?? [];
  if (ownProject !== undefined && project !== undefined && project !== ownProject) {
    report(
      context,
      ['pubsub', 'project'],
      'is another project than the one in pubsub.subscription',
      'remove pubsub.project, or correct one of the two',
    );
  }
  const effective = ownProject ?? project;
  if (effective === undefined) {
    if (given['project'] === undefined) {
      report(
        context,
        ['pubsub', 'project'],
        'is missing',
        'add project, or write the subscription as projects/PROJECT/subscriptions/NAME',
      );
    }
    return undefined;
  }
  if (given['endpoint'] !== undefined && endpoint === undefined) return undefined;
  const emulator = context.env['PUBSUB_EMULATOR_HOST'];
  const chosen = endpoint ?? (emulator === '' ? undefined : emulator);
  return {
    project: effective,
    subscription: shortName ?? subscription,
    ...(chosen === undefined ? {} : { endpoint: chosen }),
  };
}

export async function resolveJournal(
  raw: unknown,
  context: ResolveContext,
): Promise<JournalConfig | undefined> {
  const fields = validFields(journal, raw);
  const { kind, path, leaseSeconds, retentionDays } = fields;
  const given = asRecord(raw);
  if (kind === undefined) return undefined;
  for (const [key, owner] of Object.entries(ownersOfKeys)) {
    if (given[key] === undefined || kind === owner) continue;
    report(
      context,
      ['journal', key],
      `is not used by kind ${kind}`,
      `remove it, or write kind: ${owner}`,
    );
  }
  const connection =
    kind === 'postgres' ? await connectionString(given, fields, context) : undefined;
  if (leaseSeconds === undefined || retentionDays === undefined || path === undefined) {
    return undefined;
  }
  const times = { leaseSeconds, retentionDays };
  if (kind === 'memory') return { kind, ...times };
  if (kind === 'sqlite') return { kind, path: resolve(context.directory, path), ...times };
  if (connection === undefined) return undefined;
  const { url } = fields;
  const isInFile = typeof url === 'object' && 'file' in url;
  const urlFile = isInFile ? { urlFile: resolve(context.directory, url.file) } : {};
  return { kind, url: connection, ...urlFile, ...times };
}

/** Keys that only one kind of journal has a use for. */
const ownersOfKeys = { path: 'sqlite', url: 'postgres', allowUnverifiedServer: 'postgres' };

async function connectionString(
  given: Readonly<Record<string, unknown>>,
  { url, allowUnverifiedServer }: ReturnType<typeof validFields<typeof journal.shape>>,
  context: ResolveContext,
): Promise<string | undefined> {
  if (url === undefined) {
    if (given['url'] === undefined) {
      report(
        context,
        ['journal', 'url'],
        'is missing',
        'kind postgres needs it: add url: { env: DATABASE_URL }',
      );
    }
    return undefined;
  }
  try {
    const text =
      typeof url === 'string' ? url : await readSecret(url, context.env, context.directory);
    const place = readPostgresUrl(text, context.env);
    await checkTlsFiles(place);
    const problem = allowUnverifiedServer === true ? undefined : trustProblem(place);
    if (problem === undefined) return text;
    report(
      context,
      ['journal', 'url'],
      problem,
      'add sslmode=verify-full (and sslrootcert=FILE for a CA of your own) to the connection string, or set journal.allowUnverifiedServer: true if you accept it',
    );
  } catch (error) {
    if (!(error instanceof JournalError)) reportError(context, ['journal', 'url'], error);
    else {
      report(
        context,
        ['journal', 'url'],
        error.message.replace(/^journal\.url('s)? /, '').replace(/\.$/, ''),
        'write it as postgres://USER:PASSWORD@HOST:5432/DATABASE where the reference points',
      );
    }
  }
  return undefined;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

function report(context: ResolveContext, path: Path, message: string, fix: string): void {
  context.report(context.document.problem(path, message, fix));
}

function reportError(context: ResolveContext, path: Path, error: unknown): void {
  report(
    context,
    path,
    error instanceof Error ? error.message : String(error),
    'correct the reference',
  );
}
