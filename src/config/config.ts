import type { AdapterDefinition } from '../plug-in/certificate-authority.ts';
import type { CertificateProfile } from '../profile/profile.ts';
import type { ConfigFile } from './schema/config-schema.ts';

type Checked = 'google' | 'pubsub' | 'scepProfiles' | 'unmatched' | 'limits' | 'server' | 'log';

/** The configuration as the service uses it: checked, complete, every path absolute, secrets read. */
export interface Config extends Readonly<Pick<ConfigFile, Checked>> {
  /** Absolute; what is relative in the file starts at `directory`. */
  readonly file: string;
  readonly directory: string;
  /** callerInstanceId. */
  readonly instance: string;
  readonly journal: JournalConfig;
  /** By caConnectionAdapterConfigReference. */
  readonly authorities: ReadonlyMap<string, AuthorityConfig>;
  /** By profileAdapterConfigReference. */
  readonly profiles: ReadonlyMap<string, CertificateProfile>;
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
      readonly urlFile: string | undefined;
    }
  | { readonly kind: 'memory' }
);

type Written = ConfigFile['authorities'][string];

export interface AuthorityConfig
  extends Readonly<Pick<Written, 'kind' | 'timeoutSeconds' | 'mayDrop' | 'mayAdd'>>,
    LoadedAuthority {
  readonly concurrency: number;
  readonly requestsPerSecond: number | undefined;
}

/** What an authority's part of the file refers to. */
export interface LoadedAuthority {
  readonly definition: AdapterDefinition;
  /** As the adapter's own schema gave them. */
  readonly options: unknown;
  /** Certificates that issued ones must chain to, DER each; empty: the chain is not checked. */
  readonly roots: readonly Uint8Array[];
  /** Files with more of them that the kind makes when it connects for the first time. Absolute. */
  readonly lateRootFiles: readonly string[];
}
