import { type ErrorCode, ProvisioningError } from '../errors.ts';
import type { DeadlineError } from '../time/deadline.ts';
import { messageOf } from '../words/message-of.ts';

/* What a call to an authority came to, for its limits and for those who count. */

export function isUnavailable(error: unknown): error is ProvisioningError {
  return error instanceof ProvisioningError && error.code === 'ca-unavailable';
}

export function kindOf(answer: unknown): string {
  const isIssuance = typeof answer === 'object' && answer !== null && 'kind' in answer;
  if (!isIssuance || typeof answer.kind !== 'string') return 'ok';
  return answer.kind === 'issued' ? 'ok' : answer.kind;
}

export function unanswered(reference: string, error: DeadlineError): ProvisioningError {
  return new ProvisioningError('ca-unavailable', `${reference}: ${error.message}`, {
    cause: error,
  });
}

export function asProblem(error: unknown): ProvisioningError {
  if (error instanceof ProvisioningError) return error;
  const code: ErrorCode = 'ca-unavailable';
  const message = messageOf(error);
  return new ProvisioningError(code, message, { cause: error });
}
