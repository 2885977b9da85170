import { resolve } from 'node:path';
import { Authority } from '../authority/authority.ts';
import { configurationMark } from '../authority/configuration-mark.ts';
import { RefusalGuard } from '../authority/refusal-guard.ts';
import { connectRenewed } from '../authority/renewed-connection.ts';
import { StandingBook } from '../authority/standing-book.ts';
import type { AuthorityConfig, Config } from '../config/config.ts';
import { readRootFile } from '../config/load/root-file.ts';
import { onBehalfOf } from '../events/stray-errors.ts';
import type { Journal } from '../journal/journal.ts';
import { memoryIn } from '../journal/memory.ts';
import { ownVersion } from '../own-version.ts';
import type { CertificateAuthority, ConnectContext } from '../plug-in/certificate-authority.ts';
import { readSecret } from '../plug-in/secret.ts';
import { CallBudget } from '../time/call-budget.ts';
import { messageOf } from '../words/message-of.ts';
import type { ServiceContext } from './service-context.ts';

/* Makes an authority of its part of the configuration. */

export interface AuthorityPart {
  readonly reference: string;
  readonly authority: AuthorityConfig;
  /** The whole of which it is a part. */
  readonly config: Config;
  readonly journal: Journal;
  readonly context: ServiceContext;
}

/** Connects an adapter. @throws when it cannot, with its name. */
export async function connect(part: AuthorityPart): Promise<CertificateAuthority> {
  const { reference, authority, config, journal, context } = part;
  const { clock, events, signal } = context;
  const { kind, definition, options } = authority;
  const memory = memoryIn(journal, signal);
  try {
    const renewal = {
      reference,
      directory: config.directory,
      clock,
      events,
      connect: (inner: ConnectContext) =>
        onBehalfOf(reference, () => definition.connect(options, inner, signal)),
    };
    return await connectRenewed(renewal, { ...connectContext(part), memory });
  } catch (error) {
    throw new Error(`The authority ${reference} (${kind}) cannot be used: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** An authority that finds ever new words is not listened to for ever. */
const mostWarnings = 100;

function connectContext({ reference, config, context }: AuthorityPart): ConnectContext {
  const { clock, events } = context;
  const told = new Set<string>();
  return {
    clock,
    resolvePath: (path) => resolve(config.directory, path),
    readSecret: (secret) => readSecret(secret, process.env, config.directory),
    warn(message) {
      if (told.has(message) || told.size >= mostWarnings) return;
      told.add(message);
      events.emit('notice', { authority: reference, message });
    },
  };
}

/** Puts an adapter behind its limits and its guard. */
export async function guardAuthority(
  part: AuthorityPart,
  adapter: CertificateAuthority,
): Promise<Authority> {
  const { reference, authority, config, context } = part;
  const { clock, random, events } = context;
  const { requestsPerSecond, mayDrop, mayAdd, concurrency, timeoutSeconds } = authority;
  const roots = await allRoots(part);
  // No burst: the limit is a promise to the CA, in every second.
  const budget =
    requestsPerSecond === undefined
      ? {}
      : { budget: new CallBudget({ requestsPerSecond, burst: 1, clock }) };
  return new Authority({
    reference,
    adapter,
    roots,
    mayDrop,
    mayAdd,
    concurrency,
    // A slow authority's line leaves most of the visits to the others.
    longestLine: Math.ceil(config.limits.visits / 4),
    timeoutMs: timeoutSeconds * 1_000,
    clock,
    random,
    events,
    guard: guardOf(part, roots),
    ...budget,
  });
}

/** Those of the configuration, and those that the kind has made just now. */
async function allRoots({ reference, authority }: AuthorityPart): Promise<readonly Uint8Array[]> {
  try {
    const late = await Promise.all(authority.lateRootFiles.map(readRootFile));
    return [...authority.roots, ...late.flat()];
  } catch (error) {
    throw new Error(`The roots of the authority ${reference} cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function guardOf(part: AuthorityPart, roots: readonly Uint8Array[]): RefusalGuard {
  const { reference, authority, config, journal, context } = part;
  const { definition: _code, lateRootFiles: _among, ...configured } = authority;
  // Another version may check what is issued in another way.
  const settings = { ...configured, roots, version: ownVersion };
  const { resolvePath, readSecret } = connectContext(part);
  const mark = configurationMark({ settings, resolvePath, readSecret });
  const { rejectedDevices } = config.limits;
  const { clock, random } = context;
  const book = new StandingBook({ reference, store: journal, mark, clock });
  return new RefusalGuard({ reference, book, rejectedDevices, clock, random });
}
