import type { LoadAdapter } from '../plug-in/adapter-loader.ts';
import type { AdapterDefinition, DroppablePart } from '../plug-in/certificate-authority.ts';
import type { CertificateProfile, ScepDefaults } from '../profile/profile.ts';
import type { ConfigDocument } from './document.ts';
import type { ConfigProblem } from './problem.ts';
import type { ConfigFile } from './schema.ts';

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
