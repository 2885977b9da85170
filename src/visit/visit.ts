import type { Authority } from '../authority/authority.ts';
import { deviceTextOf, type ErrorCode, type ProvisioningError } from '../errors.ts';
import type { Events } from '../events/events.ts';
import type { ProvisioningProcess } from '../google/process.ts';
import type { ProvisioningApi } from '../google/provisioning-api.ts';
import type { Entry } from '../journal/journal.ts';
import type { ProcessRecord, VerdictFacts } from '../journal/process-record.ts';
import type { CertificateProfile, ScepDefaults } from '../profile/profile.ts';
import type { Subject } from '../request/requested-certificate.ts';
import type { Outcome } from '../request/room.ts';
import type { Clock, Random } from '../time/clock.ts';

/** What every room works with: the ports and what the administrator configured. */
export interface VisitContext {
  readonly api: ProvisioningApi;
  readonly authorities: ReadonlyMap<string, Authority>;
  readonly profiles: ReadonlyMap<string, CertificateProfile>;
  readonly scepDefaults: ScepDefaults;
  /** What happens to a process whose references are in no table. */
  readonly unmatched: 'hold' | 'refuse' | 'ignore';
  readonly unmatchedDeadlineMs: number;
  /** `callerInstanceId` for claims that this instance begins. */
  readonly instance: string;
  readonly signingDeadlineMs: number;
  readonly issuingDeadlineMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: Events;
}

/** One stay with one process, under its lease. */
export interface Visit {
  readonly entry: Entry;
  /** The record as it stands now; only part of it may be written yet. */
  readonly record: ProcessRecord;
  /** Writes the record durably and renews the lease; throws LeaseLostError when it was taken over. */
  save(record: ProcessRecord): Promise<void>;
  /** Throws LeaseLostError unless the lease is certain to hold a little longer, and the clock to be right. */
  guard(): void;
}

/** What a room gives back. A record is written by the next save, at the latest when the visit ends. */
export type Step =
  /** Go on with the state that the record says. */
  | { readonly kind: 'onward'; readonly record: ProcessRecord }
  /** Nothing more can be done now. */
  | {
      readonly kind: 'wait';
      readonly record: ProcessRecord;
      readonly forMs: number;
      /** What Google said and has to say once more; without it, what was heard before is overcome. */
      readonly verdict?: VerdictFacts;
    }
  | End;

export interface End {
  readonly kind: 'end';
  readonly record: ProcessRecord;
  readonly outcome: Outcome;
  readonly code?: ErrorCode;
  /** For operators. */
  readonly message: string;
}

export function end(
  record: ProcessRecord,
  outcome: Outcome,
  message: string,
  code?: ErrorCode,
): End {
  return { kind: 'end', record, outcome, message, ...(code === undefined ? {} : { code }) };
}

/** A process that failed, or got its certificate from elsewhere, needs nothing more from us. */
export function endedMeanwhile(
  record: ProcessRecord,
  process: ProvisioningProcess,
): End | undefined {
  if (process.failureMessage !== undefined) {
    return end(record, 'gone', `The process has failed: ${process.failureMessage.slice(0, 500)}`);
  }
  if (process.issuedCertificate !== undefined) {
    return end(record, 'gone', 'The process already has a certificate.');
  }
  return undefined;
}

/** Who asks, as far as it is known. */
export function whoOf({ request, subject = request?.subject }: ProcessRecord): {
  readonly subject?: Subject;
} {
  return subject === undefined ? {} : { subject };
}

/** The record with the decision to refuse; what Google is told is fixed with it. */
export function withRefusal(
  record: ProcessRecord,
  error: ProvisioningError,
  decidedAt: number,
): ProcessRecord {
  const refusal = {
    code: error.code,
    deviceText: deviceTextOf(error.code),
    message: error.message,
    decidedAt,
  };
  return { ...record, refusal };
}
