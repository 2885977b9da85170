import { hash } from 'node:crypto';
import type { ProvisioningError } from '../errors.ts';
import type { PrepareRequest } from '../plug-in/certificate-authority.ts';
import { oneLine } from '../words/one-line.ts';
import { scrub } from '../words/scrub.ts';

/* What the refusal guard looks at: who asks for what, and what the authority said. */

/** A call that is guarded, and what for. */
export interface GuardedOrder {
  readonly call: 'prepare' | 'issue' | 'collect';
  readonly request: PrepareRequest;
  /** The profile's name and a hash of what it says. */
  readonly profile: string;
  /** It was rejected before, or its certificate failed, and that was not believed. */
  readonly isAgain?: boolean;
}

/** A certificate that failed its check. */
export interface FailedCheck {
  readonly request: PrepareRequest;
  readonly profile: string;
  /** It was not looked at before. */
  readonly isNew: boolean;
}

/** Their words are for one line of a log, in characters. */
const longestWords = 300;
/** The codes that end a process. A device that came too late has only itself to blame. */
export function isRejection({ disposition, code }: ProvisioningError): boolean {
  return disposition === 'refuse' && code !== 'preparation-expired';
}

/** The words of an answer that says no for good. */
export function rejectionOf(answer: unknown): string | undefined {
  const isRejected =
    typeof answer === 'object' && answer !== null && 'kind' in answer && answer.kind === 'rejected';
  return isRejected && 'reason' in answer ? String(answer.reason) : undefined;
}

export function fitForALine(words: string): string {
  return oneLine(scrub(words), longestWords);
}

/** Who asks, as a hash: a device that asks again and again is one device. */
export function deviceOf({ subject, subjectPublicKeyInfo }: PrepareRequest): string {
  const { deviceDirectoryApiId, serialNumber } = subject;
  const user = subject.kind === 'user' ? subject : undefined;
  const name =
    user?.userDirectoryApiId ?? user?.userPrimaryEmail ?? deviceDirectoryApiId ?? serialNumber;
  return hash('sha256', name ?? Buffer.from(subjectPublicKeyInfo), 'hex').slice(0, 16);
}
