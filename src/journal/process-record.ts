import type { Opaque } from '../plug-in/opaque.ts';
import type { KeyType, RequestedCertificate, Subject } from '../request/requested-certificate.ts';
import type { SignatureAlgorithm } from '../request/signature-algorithm.ts';

/**
 * What is known about one process, in the order it comes to be known. It grows: a part is written when its
 * step begins (the intention) and completed when the step is done. `lifecycle.ts` reads the state from it;
 * nothing else about a process is remembered anywhere. Bytes are base64, times milliseconds since the epoch.
 */
export interface ProcessRecord {
  /** The customer that the process is really of, where it was announced under another one first. */
  readonly customer?: string;
  /** From Google's process: who asks, with which key, for which certificate, from which authority. */
  readonly request?: RequestFacts;
  /** Who asks, where the request itself could not be made. */
  readonly subject?: Subject;
  /** Its references are in no table: held, and not claimed. */
  readonly unmatched?: UnmatchedFacts;
  /** Written before claim is called. */
  readonly claim?: ClaimFacts;
  /** Written before signData is called. */
  readonly signing?: SigningFacts;
  /** The complete, verified PKCS#10 CertificationRequest (DER). */
  readonly csr?: string;
  /** Written before the authority is asked. */
  readonly order?: OrderFacts;
  /** What the authority issued; written before it is checked or uploaded. */
  readonly issued?: IssuedFacts;
  /** A refusal that was decided and that Google has not yet heard. */
  readonly refusal?: RefusalFacts;
  /** The process has ended with an undelivered certificate, which is still to be revoked. */
  readonly ending?: EndingFacts;
  /** What Google said that would end the process, and that is yet to be heard a second time. */
  readonly verdict?: VerdictFacts;
  /** Google said again and again that the process has gone, and found it when it was looked for. */
  readonly overruled?: OverruledFacts;
  /** The trouble that keeps the process where it is; gone when it moves on. */
  readonly trouble?: TroubleFacts;
  /** For how long the process was watched (`age.ts`); every deadline counts in it. */
  readonly age?: AgeFacts;
}

interface AgeFacts {
  /** Until `at`, in milliseconds. */
  readonly ms: number;
  readonly at: number;
  /** How long it was to be left alone from `at` on. */
  readonly restMs: number;
}

export interface RequestFacts {
  /** The device key's SubjectPublicKeyInfo (DER). */
  readonly subjectPublicKeyInfo: string;
  readonly keyType: KeyType;
  /** The name of the authority in the configuration. */
  readonly authority: string;
  /** The profile's name and a hash of what it says; not known of processes of earlier versions. */
  readonly profile?: string;
  readonly subject: Subject;
  readonly wanted: RequestedCertificate;
}

export interface UnmatchedFacts {
  readonly authority: string;
  /** Of a profile of the configuration. */
  readonly profile?: string;
  /** The process's age when it was first held, in milliseconds. */
  readonly sinceAge: number;
  /** When Google's record was last looked at. */
  readonly lookedAt: number;
}

interface ClaimFacts {
  /** The id that was written down before the claim: a repeat uses the same one, on any instance. */
  readonly callerInstanceId: string;
  readonly intendedAt: number;
  readonly claimedAt?: number;
  /** A repeated claim was answered with 400 although the process looks untouched: look again first. */
  readonly doubtedAt?: number;
}

export interface SigningFacts {
  /** The exact CertificationRequestInfo (DER) that is sent; gone once the CSR, which has it, is complete. */
  readonly toBeSigned?: string;
  readonly algorithm: SignatureAlgorithm;
  /** What the authority's prepare() wants to see again. */
  readonly prepared?: Opaque;
  readonly intendedAt: number;
  /** After this time what was prepared is worth nothing. */
  readonly preparedUntil?: number;
  /**
   * signData may have been called and its answer lost: it must not be called again before Google's record was
   * seen without it, then rested for so many milliseconds, then seen without it once more. 0: that rest is over.
   * No time of day, since two instances' clocks may differ by more; it is the journal that times a rest.
   */
  readonly pauseOwedMs?: number;
  /** How many calls of signData had an unclear answer: the pause before the next one grows with it. */
  readonly unclearCalls?: number;
  readonly calledAt?: number;
  /** The age from which the device's deadline counts. */
  readonly calledAge?: number;
  /** The operation's full resource name; unknown when the answer was lost. */
  readonly operation?: string;
  /** How often the signature was looked for. */
  readonly polls: number;
  /** So many hours without a signature have been told. */
  readonly hoursTold?: number;
}

export interface OrderFacts {
  /** 1 for the first; more only after a certificate was thrown away, a rejection not believed, or an order lost. */
  readonly number: number;
  /** How many orders were rejected, or brought a certificate that failed its check, and were not believed to. */
  readonly doubted?: number;
  /** How many orders the authority did not know any more. */
  readonly lost?: number;
  /** The idempotency key for the authority: 32 lower-case hexadecimal digits. */
  readonly requestId: string;
  readonly intendedAt: number;
  /** The age from which the authority's deadline counts. */
  readonly intendedAge?: number;
  /**
   * The authority may have been asked and what it answered is not known: an instance ended in between, or no
   * answer came. Without idempotency the next order may bring a second certificate.
   */
  readonly asking?: true;
  /** How many times it was asked and no answer was understood. */
  readonly unanswered?: number;
  /** Present while the authority has the order in hand and has not decided. */
  readonly ticket?: Opaque;
  readonly polls: number;
}

export interface IssuedFacts {
  /** The end-entity certificate (DER). */
  readonly certificate: string;
  /** The rest of the chain (DER each). */
  readonly chain: readonly string[];
  readonly issuedAt: number;
  /** Upper-case hexadecimal, for people. */
  readonly serialNumber?: string;
  /** It could not be delivered as far as we know, yet an attempt whose answer was lost may have been. */
  readonly mayBeInUse?: true;
  /** The code of the check it failed, when it was first seen to fail. */
  readonly faultCode?: string;
  /** That was not believed to be the device's or this certificate's own fault; it is in the order's `doubted`. */
  readonly doubted?: true;
}

interface RefusalFacts {
  readonly code: string;
  /** What setFailure is told; people read it on a Chromebook. */
  readonly deviceText: string;
  /** For operators. */
  readonly message: string;
  readonly decidedAt: number;
}

interface EndingFacts {
  readonly outcome: 'refused' | 'yielded' | 'gone';
  readonly code?: string;
  readonly message: string;
  readonly decidedAt: number;
  readonly decidedAge?: number;
}

/**
 * - `gone`: the process was not found
 * - `claimed-by-other`: our first claim was refused
 * - `signing-refused`: signData was refused, and the process does not show why
 * - `signing-failed`: the operation failed, and the process has not
 * - `upload-refused`, `failure-refused`: uploadCertificate or setFailure was, and the process does not show why
 */
export type Verdict =
  | 'gone'
  | 'claimed-by-other'
  | 'signing-refused'
  | 'signing-failed'
  | 'upload-refused'
  | 'failure-refused';

export interface VerdictFacts {
  readonly kind: Verdict;
  readonly heardAt: number;
}

/** Ages of the process, in milliseconds. */
export interface OverruledFacts {
  readonly times: number;
  readonly sinceAge: number;
  readonly lastAge: number;
}

interface TroubleFacts {
  readonly code: string;
  readonly count: number;
  readonly since: number;
  readonly sinceAge?: number;
}
