import { resolve } from 'node:path';
import type { Events } from '../events/events.ts';
import type { CertificateAuthority, ConnectContext } from '../plug-in/certificate-authority.ts';
import type { Clock } from '../time/clock.ts';
import { Pace } from '../time/pace.ts';
import { WatchedFiles } from '../watch/watched-files.ts';
import { messageOf } from '../words/message-of.ts';

/*
 * An adapter reads certificates, keys, passwords and tokens when it connects. When one of these files has changed, it is connected
 * once more, beside the one that serves, and takes over when that has succeeded: so every kind, also a plug-in's, works
 * with what is in the files now, with new TLS connections, and without knowing of it. What cannot be used (a half of a pair, a
 * file that is cut off) is told, and the earlier contents go on to count.
 */

export interface Renewal {
  readonly reference: string;
  /** Relative paths start here. */
  readonly directory: string;
  readonly clock: Clock;
  readonly events: Events;
  connect(context: ConnectContext): Promise<CertificateAuthority>;
}

const restMs = { least: 4_000, most: 10 * 60_000 };

interface Connection {
  readonly adapter: CertificateAuthority;
  readonly files: WatchedFiles;
  /** Under way. */
  calls: number;
  retired: boolean;
}

/** Connects, and keeps connected with what the files say. Rejects as `connect` does the first time. */
export async function connectRenewed(
  renewal: Renewal,
  context: ConnectContext,
): Promise<CertificateAuthority> {
  let serving = await connection(renewal, context);
  let renewing: Promise<void> | undefined;
  const pace = new Pace(renewal.clock, restMs);
  let isClosed = false;
  const retiring = new Set<Promise<void>>();

  const letGo = (old: Connection) => {
    if (!old.retired || old.calls > 0) return;
    const end = dispose(old.adapter, renewal.events).finally(() => retiring.delete(end));
    retiring.add(end);
  };
  const renew = async () => {
    const { reference, events } = renewal;
    try {
      const next = await connection(renewal, context);
      const old = serving;
      serving = next;
      old.retired = true;
      pace.takenUp();
      letGo(old);
      events.emit('reread', { authority: reference });
    } catch (error) {
      // The next change, the other half of a pair perhaps, is tried again.
      serving.files.passOver();
      const problem = messageOf(error);
      events.emit('reread', { authority: reference, problem });
    }
  };
  const use = async <Result>(call: (adapter: CertificateAuthority) => Promise<Result>) => {
    if (!isClosed && renewing === undefined && !pace.rests && serving.files.changed()) {
      renewing = renew().finally(() => {
        renewing = undefined;
      });
    }
    const used = serving;
    used.calls += 1;
    try {
      return await call(used.adapter);
    } finally {
      used.calls -= 1;
      letGo(used);
    }
  };

  const { kind, features, collect, prepare, revoke } = serving.adapter;
  return {
    kind,
    features,
    check: (signal) => use((adapter) => adapter.check(signal)),
    issue: (request, signal) => use((adapter) => adapter.issue(request, signal)),
    ...(collect === undefined
      ? {}
      : {
          collect: (ticket, request, signal) =>
            use((adapter) => (adapter.collect ?? collect).call(adapter, ticket, request, signal)),
        }),
    ...(prepare === undefined
      ? {}
      : {
          prepare: (request, signal) =>
            use(async (adapter) => (await adapter.prepare?.(request, signal)) ?? {}),
        }),
    ...(revoke === undefined
      ? {}
      : {
          revoke: (certificate, reason, signal) =>
            use(async (adapter) => adapter.revoke?.(certificate, reason, signal)),
        }),
    async [Symbol.asyncDispose]() {
      isClosed = true;
      await renewing;
      await Promise.all([serving.adapter[Symbol.asyncDispose](), ...retiring]);
    },
  };
}

async function connection(renewal: Renewal, context: ConnectContext): Promise<Connection> {
  const files = new WatchedFiles(() => renewal.clock.now());
  let isConnected = false;
  // What an adapter asks for later it reads when it needs it.
  const note = (path: string) => {
    if (!isConnected) files.add(resolve(renewal.directory, path));
  };
  const adapter = await renewal.connect({
    ...context,
    resolvePath(path) {
      note(path);
      return context.resolvePath(path);
    },
    readSecret(reference) {
      if ('file' in reference) note(reference.file);
      return context.readSecret(reference);
    },
  });
  isConnected = true;
  return { adapter, files, calls: 0, retired: false };
}

async function dispose(adapter: CertificateAuthority, events: Events): Promise<void> {
  try {
    await adapter[Symbol.asyncDispose]();
  } catch (error) {
    events.emit('bug', { error });
  }
}
