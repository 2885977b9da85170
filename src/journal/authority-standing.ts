/**
 * What all instances know about one authority besides its processes: whether its answers may be believed. It is
 * written only when it changes, which on a good day is once. `authority/standing.ts` has the rules. Times are
 * milliseconds since the epoch.
 */
export interface AuthorityStanding {
  /** Of the configuration under which all of this came to be known; opaque, and without any secret. */
  readonly mark: string;
  /** By a profile's name and a hash of what it says. The newest come last. */
  readonly profiles: Readonly<Record<string, ProfileStanding>>;
  /** Answers in a row that could not be read. */
  readonly unread: number;
  /** How many times in a row it went down over orders that were not answered, though it looked well before. */
  readonly silent: number;
  /** Orders that left and whose answer nobody understood, since this configuration. */
  readonly unanswered: number;
  /** It gets only a try now and then: its answers are not understood. */
  readonly hold?: Hold;
  /** In an entry of its own, written once: what an adapter wants to know for good (memory.ts). */
  readonly remembered?: string;
}

export interface ProfileStanding {
  /** It has issued a certificate for this profile that passed its check. */
  readonly proven: boolean;
  /** Devices in a row that were rejected, or whose certificates failed their check, as hashes. */
  readonly rejected: readonly string[];
  /** Every order for this profile is rejected, or every certificate of it fails its check. */
  readonly hold?: Hold;
  /** Devices that were asked to sign before it was proven, or while it is held. */
  readonly scouts?: { readonly asked: number; readonly nextAt: number };
}

export interface Hold {
  /** The call that it answers like this. */
  readonly call: 'prepare' | 'issue';
  /** Certificates are issued, and fail their check with this code. */
  readonly fault?: string;
  /** Orders are accepted, and rejected when they are asked about. */
  readonly isLate?: true;
  readonly since: number;
  /** The other side's words: one line, bounded, without secrets. */
  readonly words: string;
  /** Nobody tries again before this time; to try means to move it first. */
  readonly nextTryAt: number;
  readonly tries: number;
}

/** A standing as the journal holds it. */
export interface KeptStanding {
  readonly standing: AuthorityStanding;
  /** Grows with every write. */
  readonly version: number;
}
