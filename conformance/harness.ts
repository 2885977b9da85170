import type { CertificateAuthority } from '../src/plug-in/certificate-authority.ts';
import type { RequestedCertificate } from '../src/request/requested-certificate.ts';
import type { Lesson } from './breach.ts';

/** Something that this CA cannot be made to do, and why. */
export interface NotSupported {
  readonly notSupported: string;
}

export type Hook<Result = void> = (() => Promise<Result>) | NotSupported;

/** How to make a CA behave in a certain way with the next order. */
export interface Hooks {
  /** Pending at first; the first or second collect gives the certificate. */
  readonly pendThenIssue: Hook;
  /** Pending at first, then decided against. */
  readonly pendThenReject: Hook;
  /** Decided against at once. */
  readonly reject: Hook;
  /** Fails in a way that passes; the order after that is served. */
  readonly failOnce: Hook;
  /** Answers with something that is not a certificate; the order after that is served. */
  readonly answerGarbage: Hook;
  /** Does not answer. `reached` resolves when the CA has the order in hand. */
  readonly hang: Hook<{ reached(): Promise<void> }>;
  /** Takes its time, a second or so, and then serves the order. */
  readonly answerSlowly?: Hook;
}

/** One CA, made for one case. */
export interface AdapterHarness extends AsyncDisposable {
  /** Connects; a second call gives a second connection to the same CA, as another instance would have it. */
  connect(): Promise<CertificateAuthority>;
  readonly hooks: Hooks;
  /** What must never be seen in an error or a reason. */
  readonly secrets: readonly string[];
  /** DER; issued certificates chain to one of them. None: nobody knows them. */
  readonly roots: () => Promise<readonly Uint8Array[]>;
  /** Whether the CA gives the validity that is asked for; undefined: nobody knows. */
  readonly validityAsAsked: true | NotSupported | undefined;
  /** What this CA can be asked for where it differs from the usual. */
  readonly wanted?: Partial<RequestedCertificate> | undefined;
  /** How long a pending order is asked about, at its pollAfterMs; without it, five times in a row. */
  readonly patienceMs?: number | undefined;
  /** Within how many milliseconds an aborted call has to end; 2 s by default. */
  readonly promptMs?: number | undefined;
  /** Processes, sockets and files that are still there and should not be. */
  leftovers(): Promise<readonly string[]>;
}

export interface CaseContext {
  readonly harness: AdapterHarness;
  /** Watched: every error and reason it gives is searched for secrets. */
  readonly authority: CertificateAuthority;
  connect(): Promise<CertificateAuthority>;
}

/** One thing that every adapter has to do, and what to tell the author of one that does not. */
export interface ContractCase extends Lesson {
  readonly name: string;
  /** Why this CA cannot show it; undefined when it can. */
  readonly lacks?: (context: CaseContext) => string | undefined;
  readonly run: (context: CaseContext) => Promise<unknown>;
}
