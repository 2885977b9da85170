import type { AuthorityStanding, KeptStanding } from '../journal/authority-standing.ts';
import { type Journal, JournalError } from '../journal/journal.ts';
import type { Clock } from '../time/clock.ts';
import { Pace } from '../time/pace.ts';
import { freshStanding } from './standing.ts';

/** A configuration's mark: opaque, kept in the journal, and told from that of another configuration. */
export interface ConfigurationMark {
  /** A new mark of the configuration as it is now. */
  make(): Promise<string>;
  /** Whether a mark was made of the very configuration that there is now. */
  matches(mark: string): Promise<boolean>;
}

export interface StandingBookOptions {
  /** The authority's name under `authorities` in the configuration. */
  readonly reference: string;
  readonly store: Pick<Journal, 'standing' | 'writeStanding'>;
  readonly mark: ConfigurationMark;
  readonly clock: Clock;
}

type Rule = (standing: AuthorityStanding) => AuthorityStanding;

/** How often a change is tried while other instances write, too. */
const mostAttempts = 10;
/**
 * An option may name a file that each order changes, such as a script's list of serial numbers: this must not free
 * the authority each time.
 */
const changeRestMs = { least: 60_000, most: 6 * 60 * 60_000 };

/**
 * An authority's standing as one instance knows it. The journal's counts; it is read when something is to change, and now
 * and then. It is begun anew when the configuration has changed, at a start or later. An instance that still runs with another
 * configuration than the one that was begun last keeps a standing of its own, in memory.
 */
export class StandingBook {
  readonly #options: StandingBookOptions;
  readonly #signal = new AbortController().signal;
  /** The mark under which this instance last worked. */
  #mine: string | undefined;
  #kept: KeptStanding | undefined;
  readonly #changes: Pace;
  /** Whether it is the journal's, or only this instance's. */
  #isShared = true;

  constructor(options: StandingBookOptions) {
    this.#options = options;
    this.#changes = new Pace(options.clock, changeRestMs);
  }

  /** As it was last seen; undefined before that. */
  get seen(): AuthorityStanding | undefined {
    return this.#kept?.standing;
  }

  /** Sees what other instances found out. While the journal fails, what was last seen counts. */
  async look(): Promise<AuthorityStanding> {
    return this.change((standing) => standing);
  }

  /** Applies a rule to the newest standing, and writes it when it changed. Never rejects for the journal's sake. */
  async change(rule: Rule): Promise<AuthorityStanding> {
    try {
      for (let attempt = 0; attempt < mostAttempts; attempt += 1) {
        const newest = await this.#read();
        const standing = rule(newest.standing);
        if (standing === newest.standing && newest.isWritten) return this.#keep(newest);
        const changed = { standing, version: newest.version + 1 };
        if (!this.#isShared || (await this.#write(standing, newest.version))) {
          return this.#keep(changed);
        }
      }
    } catch (error) {
      if (!(error instanceof JournalError)) throw error;
      // The journal's own event reports its failure. What is found out meanwhile counts here.
    }
    const seen = this.#kept ?? { standing: freshStanding(''), version: 0 };
    return this.#keep({ ...seen, standing: rule(seen.standing) });
  }

  #keep({ standing, version }: KeptStanding): AuthorityStanding {
    this.#kept = { standing, version };
    return standing;
  }

  #write(standing: AuthorityStanding, version: number): Promise<boolean> {
    const { store, reference } = this.#options;
    return store.writeStanding(reference, standing, version, this.#signal);
  }

  async #read(): Promise<KeptStanding & { readonly isWritten: boolean }> {
    const { store, reference, mark } = this.#options;
    const kept = await store.standing(reference, this.#signal);
    const isOurs = kept !== undefined && (await mark.matches(kept.standing.mark));
    if (isOurs) {
      this.#mine = kept.standing.mark;
      this.#isShared = true;
      return { ...kept, isWritten: true };
    }
    const isStart = this.#mine === undefined;
    const isChanged = isStart || !(this.#changes.rests || (await mark.matches(this.#mine ?? '')));
    if (isChanged) {
      if (!isStart) this.#changes.takenUp();
      this.#mine = await mark.make();
      this.#isShared = true;
      const version = kept?.version ?? 0;
      // Nothing to write as long as there is nothing to overwrite.
      return { standing: freshStanding(this.#mine), version, isWritten: kept === undefined };
    }
    // Nothing was ever written, or another instance has begun anew with another configuration.
    this.#isShared = kept === undefined;
    const own = this.#kept?.standing ?? freshStanding(this.#mine ?? '');
    return { standing: own, version: 0, isWritten: true };
  }
}
