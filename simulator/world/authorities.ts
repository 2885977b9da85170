import { Authority } from '../../src/authority/authority.ts';
import type { Events } from '../../src/events/events.ts';
import type { Journal } from '../../src/journal/journal.ts';
import type { CertificateAuthority } from '../../src/plug-in/certificate-authority.ts';
import { CallBudget } from '../../src/time/call-budget.ts';
import type { Clock, Random } from '../../src/time/clock.ts';
import type { WorldCa } from './ca.ts';
import { markOf, refusalGuard } from './refusal-guard.ts';
import type { Life } from './scheduler.ts';

export interface AuthoritiesOptions {
  /** By their references in the configuration. */
  readonly cas: ReadonlyMap<string, WorldCa>;
  readonly aliases: ReadonlyMap<string, string>;
  /** What the configuration says, as a text; an instance keeps the one that it was started with. */
  readonly configuration: string;
  readonly rootsOf: (ca: WorldCa) => readonly Uint8Array[];
  readonly wrap: (ca: CertificateAuthority) => CertificateAuthority;
  readonly life: Life;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: Events;
  readonly store: Journal;
  readonly concurrency: number;
  readonly longestLine: number;
  readonly requestsPerSecond: number | undefined;
}

/** The authorities of one instance, over the CAs of the world. */
export function authoritiesOf(options: AuthoritiesOptions): Map<string, Authority> {
  const { cas, aliases, configuration, rootsOf, wrap, life, clock, random, events, store } =
    options;
  const { concurrency, longestLine, requestsPerSecond } = options;
  const authorities = new Map<string, Authority>();
  for (const [reference, ca] of cas) {
    const mark = markOf(() => configuration);
    const authority = new Authority({
      reference,
      adapter: wrap(ca.adapterOf(life)),
      roots: rootsOf(ca),
      mayDrop: [],
      concurrency,
      longestLine,
      ...(requestsPerSecond === undefined
        ? {}
        : { budget: new CallBudget({ requestsPerSecond, burst: 1, clock }) }),
      timeoutMs: 30_000,
      clock,
      random,
      events,
      guard: refusalGuard({ reference, clock, random, store, mark }),
    });
    authorities.set(reference, authority);
  }
  for (const [alias, name] of aliases) {
    const authority = authorities.get(name);
    if (authority !== undefined) authorities.set(alias, authority);
  }
  return authorities;
}
