import type { z } from 'zod';
import type {
  CsrNames,
  KeyType,
  RequestedCertificate,
  Subject,
} from '../request/requested-certificate.ts';
import type { Clock } from '../time/clock.ts';
import type { SubjectAltName } from '../x509/alt-name-form.ts';
import type { KeyUsage } from '../x509/usages.ts';
import type { Opaque } from './opaque.ts';

/*
 * The plug-in contract: what one kind of CA has to do, and what it may rely on.
 *
 * The device signs once, so whatever a CA wants inside the CSR must be known before signData: `prepare`.
 * An adapter throws ProvisioningError with a code that says who must act (`ca-unavailable`, `ca-throttled`,
 * `ca-misconfigured`, `ca-bad-answer`); a CA that decided against the request is not an error but
 * `{ kind: 'rejected' }`, and one that has not decided yet is `{ kind: 'pending' }`.
 */

/** The names of a profile as the configuration has them, with variables in them. */
export interface ProfileNames {
  /** RFC 4514. */
  readonly subject: string;
  readonly subjectAltNames: readonly SubjectAltName[];
  /** Whether it also wants a SID. */
  readonly sid: boolean;
}

/** What is known before the device signs. */
export interface PrepareRequest {
  /** 32 lower-case hexadecimal digits; the same for every repetition of one order. */
  readonly requestId: string;
  readonly processId: string;
  readonly keyType: KeyType;
  /** DER. */
  readonly subjectPublicKeyInfo: Uint8Array;
  readonly subject: Subject;
  readonly wanted: RequestedCertificate;
}

/** A verified order. */
export interface IssueRequest extends PrepareRequest {
  /** PKCS#10 CertificationRequest, DER; its signature was verified against the device's key. */
  readonly csr: Uint8Array;
  /** What this adapter's prepare() returned as `state`. */
  readonly prepared?: Opaque;
}

/** What a CA wants inside the CSR. DER values are complete encodings. */
export interface CsrAdditions {
  /** PKCS#10 attributes besides extensionRequest (RFC 2986 4.1), e.g. challengePassword. */
  readonly attributes?: readonly {
    readonly type: string;
    readonly values: readonly Uint8Array[];
  }[];
  /** Extensions besides SAN, key usage, EKU and template; `value` is the extnValue's content. */
  readonly extensions?: readonly {
    readonly type: string;
    readonly critical: boolean;
    readonly value: Uint8Array;
  }[];
  /** Replaces the profile's key usages, for CAs that choose by them. */
  readonly keyUsages?: readonly KeyUsage[];
  /** Given back to issue() and collect(); kept in the journal; may be secret. */
  readonly state?: Opaque;
  /** After this time what was prepared is worth nothing (milliseconds since the epoch). */
  readonly expiresAt?: number;
}

export type Issuance =
  | {
      readonly kind: 'issued';
      /** The end-entity certificate, DER. */
      readonly certificate: Uint8Array;
      /** The rest of the chain in any order, DER each; may be empty. */
      readonly chain: readonly Uint8Array[];
    }
  | {
      readonly kind: 'pending';
      /**
       * Everything collect() needs; kept in the journal; may be secret. Null where nothing identifies the order, so
       * collect() can only place it again.
       */
      readonly ticket: Opaque;
      readonly pollAfterMs: number;
    }
  | {
      readonly kind: 'rejected';
      /** The CA's own words, for operators only; the device never sees them. */
      readonly reason: string;
    };

/** What came of a pending order. */
export type Collected =
  | Issuance
  | {
      /**
       * The CA (or the one that is configured now) no longer knows the order, and nobody can say whether it became a
       * certificate. Operators are told, and it is ordered again with another requestId.
       */
      readonly kind: 'lost';
      /** How that was found out, for operators. */
      readonly reason: string;
    };

/** The reasons of RFC 5280 5.3.1 that a provisioning adapter can use. */
export type RevocationReason =
  | 'unspecified'
  | 'keyCompromise'
  | 'superseded'
  | 'cessationOfOperation';

/** Parts of a request that some CAs leave out of the certificate without an error. */
export const droppableParts = [
  'subject',
  'dns',
  'email',
  'upn',
  'uri',
  'keyUsages',
  'extendedKeyUsages',
] as const;

export type DroppablePart = (typeof droppableParts)[number];

export interface AuthorityFeatures {
  /** True only when a repeated order with the same requestId can never give a second certificate. */
  readonly idempotent: boolean;
  /**
   * True when a repeated order is looked up first and gets what an earlier one got, as far as that is known.
   * An overtaken visit must then not revoke its certificate: the other visit may have been given the same.
   */
  readonly findsEarlier?: boolean;
  /** issue() may answer `pending`, and there is a collect(). */
  readonly pending: boolean;
  readonly revoke: boolean;
  readonly keyTypes: readonly KeyType[];
  /** What this kind is known to drop however it is configured. */
  readonly mayDrop: readonly DroppablePart[];
  /**
   * What this kind is known to add however it is configured: object identifiers of extended key usages and of
   * critical extensions. serverAuth and clientAuth need not be listed.
   */
  readonly mayAdd?: readonly string[];
  /**
   * The names to put into the CSR, for a kind that cannot certify all names and whose servers refuse a CSR with
   * others: of those that are asked for, without parts that are in mayDrop.
   */
  readonly csrNames?: (wanted: RequestedCertificate) => CsrNames;
}

/** One connected CA. Every method is bounded by its signal; the caller sets the deadline. */
export interface CertificateAuthority extends AsyncDisposable {
  readonly kind: string;
  readonly features: AuthorityFeatures;
  /** Resolves when the CA could issue now, as far as can be told without issuing. */
  check(signal: AbortSignal): Promise<void>;
  prepare?(request: PrepareRequest, signal: AbortSignal): Promise<CsrAdditions>;
  issue(request: IssueRequest, signal: AbortSignal): Promise<Issuance>;
  /** Asks again about a pending order; only where issue() may leave one pending. */
  collect?(ticket: Opaque, request: IssueRequest, signal: AbortSignal): Promise<Collected>;
  /** `certificate` is DER. Also resolves when it is already revoked. */
  revoke?(certificate: Uint8Array, reason: RevocationReason, signal: AbortSignal): Promise<void>;
}

/** A secret is never written in a configuration: only where it is. */
export type SecretReference = { readonly env: string } | { readonly file: string };

/** What an adapter gets besides its options. */
export interface ConnectContext {
  readonly clock: Clock;
  /** An absolute path for one that is relative to the configuration file. */
  resolvePath(path: string): string;
  /** The secret's text without its final line break. Throws a clear error when it is not there. */
  readSecret(reference: SecretReference): Promise<string>;
  /** Tells operators what stops nothing but should be known; the same text only once. No secrets. */
  warn?(message: string): void;
  /** Outlives the adapter's own files; absent where there is no journal. */
  readonly memory?: Memory;
}

/** A few facts that are written once and never change. No secrets. */
export interface Memory {
  /** Undefined when nothing was remembered under this name, which all authorities share. */
  recall(name: string): Promise<string | undefined>;
  remember(name: string, text: string): Promise<void>;
}

/** One kind of CA. */
export interface AdapterDefinition<Options extends z.ZodType = z.ZodType> {
  /** Its name in config.yaml. */
  readonly kind: string;
  /** A strict object whose every field is described: the documentation is made from it. */
  readonly options: Options;
  /** How many calls at once are sensible where the administrator does not say; 8 by default. */
  readonly concurrency?: number;
  /** The server's own quota, kept where the administrator does not set requestsPerSecond; none by default. */
  readonly requestsPerSecond?: number;
  /** False where a profile's `template` means nothing to this kind; the configuration then may not name one. */
  readonly takesTemplate?: boolean;
  /**
   * Why this kind can never certify a profile with such names, as the end of a sentence that begins with the kind;
   * undefined where it can. A profile that no authority of the configuration can certify is refused before the start.
   */
  profileProblem?(names: ProfileNames): string | undefined;
  /** Files with root certificates that connect() makes, as the options name them: `roots` may list them before. */
  rootFiles?(options: z.output<Options>): readonly string[];
  /**
   * Copies what this kind keeps on this machine and cannot do without into the empty directory `into`, also while it is
   * connected here or elsewhere. Resolves with the place that it belongs to.
   */
  backup?(
    options: z.output<Options>,
    resolvePath: (path: string) => string,
    into: string,
  ): Promise<string>;
  /** Gets ready, without needing the CA to be up. */
  connect(
    options: z.output<Options>,
    context: ConnectContext,
    signal: AbortSignal,
  ): Promise<CertificateAuthority>;
}

/** Declares an adapter; it only gives the options their type. */
export function defineAdapter<Options extends z.ZodType>(
  definition: AdapterDefinition<Options>,
): AdapterDefinition<Options> {
  return definition;
}
