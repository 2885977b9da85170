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

/** Connects an adapter. @throws when it cannot, with its name. */
export async function connect(
  reference: string,
  authority: AuthorityConfig,
  config: Config,
  journal: Journal,
  context: ServiceContext,
): Promise<CertificateAuthority> {
  const memory = memoryIn(journal, context.signal);
  try {
    const renewal = {
      reference,
      directory: config.directory,
      clock: context.clock,
      events: context.events,
      connect: (inner: ConnectContext) =>
        onBehalfOf(reference, () =>
          authority.definition.connect(authority.options, inner, context.signal),
        ),
    };
    const given = { ...connectContext(reference, config, context), memory };
    return await connectRenewed(renewal, given);
  } catch (error) {
    throw new Error(
      `The authority ${reference} (${authority.kind}) cannot be used: ${messageOf(error)}`,
      {
        cause: error,
      },
    );
  }
}

/** Those of the configuration, and those that the kind has made just now. */
async function allRoots(
  reference: string,
  { roots, lateRootFiles }: AuthorityConfig,
): Promise<readonly Uint8Array[]> {
  try {
    const late = await Promise.all(lateRootFiles.map(readRootFile));
    return [...roots, ...late.flat()];
  } catch (error) {
    const reason = messageOf(error);
    throw new Error(`The roots of the authority ${reference} cannot be read: ${reason}`, {
      cause: error,
    });
  }
}

/** An authority that finds ever new words is not listened to for ever. */
const mostWarnings = 100;

function connectContext(
  authority: string,
  config: Config,
  { clock, events }: ServiceContext,
): ConnectContext {
  const told = new Set<string>();
  return {
    clock,
    resolvePath: (path) => resolve(config.directory, path),
    readSecret: (secret) => readSecret(secret, process.env, config.directory),
    warn(message) {
      if (told.has(message) || told.size >= mostWarnings) return;
      told.add(message);
      events.emit('notice', { authority, message });
    },
  };
}

/** Puts an adapter behind its limits and its guard. */
export async function guardAuthority(
  reference: string,
  authority: AuthorityConfig,
  adapter: CertificateAuthority,
  journal: Journal,
  config: Config,
  context: ServiceContext,
): Promise<Authority> {
  const { clock, random, events } = context;
  const { requestsPerSecond } = authority;
  const roots = await allRoots(reference, authority);
  // No burst: the limit is a promise to the CA, in every second.
  const budget =
    requestsPerSecond === undefined
      ? {}
      : { budget: new CallBudget({ requestsPerSecond, burst: 1, clock }) };
  return new Authority({
    reference,
    adapter,
    roots,
    mayDrop: authority.mayDrop,
    mayAdd: authority.mayAdd,
    concurrency: authority.concurrency,
    // A slow authority's line leaves most of the visits to the others.
    longestLine: Math.ceil(config.limits.visits / 4),
    timeoutMs: authority.timeoutSeconds * 1_000,
    clock,
    random,
    events,
    guard: guardOf(reference, { ...authority, roots }, journal, config, context),
    ...budget,
  });
}

function guardOf(
  reference: string,
  authority: AuthorityConfig,
  journal: Journal,
  config: Config,
  context: ServiceContext,
): RefusalGuard {
  const { definition: _code, lateRootFiles: _among, ...configured } = authority;
  // Another version may check what is issued in another way.
  const settings = { ...configured, version: ownVersion };
  const { resolvePath, readSecret } = connectContext(reference, config, context);
  const mark = configurationMark({ settings, resolvePath, readSecret });
  const { rejectedDevices } = config.limits;
  const { clock, random } = context;
  const book = new StandingBook({ reference, store: journal, mark, clock });
  return new RefusalGuard({ reference, book, rejectedDevices, clock, random });
}
