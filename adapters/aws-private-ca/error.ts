import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import { retryAfterOf } from '../shared/http.ts';
import { serverWords } from '../shared/server-words.ts';
import { statusProblem } from '../shared/status-problem.ts';

/** What the service decided about an order, or how far it is. */
export type Verdict =
  | { readonly kind: 'rejected'; readonly reason: string }
  | { readonly kind: 'in-progress'; readonly retryAfterMs: number | undefined }
  | { readonly kind: 'done' };

/** The statuses that are meant by names of the API reference's error lists, whatever they come with. */
const statuses: Readonly<Record<string, number>> = {
  ThrottlingException: 429,
  TooManyRequestsException: 429,
  RequestLimitExceeded: 429,
  ConcurrentModificationException: 503,
  ServiceUnavailable: 503,
  InternalFailure: 503,
  RequestTimeout: 503,
  // No credentials could be found at all.
  CredentialsProviderError: 403,
};

/** What of an error of the SDK's is read. */
const sdkError = z.object({
  name: z.string().catch('Error'),
  message: z.string().catch(''),
  $metadata: z.object({ httpStatusCode: z.number().optional() }).optional().catch(undefined),
  $response: z
    .object({
      statusCode: z.number().optional(),
      headers: z.record(z.string(), z.string().optional()).catch({}),
    })
    .optional()
    .catch(undefined),
});

/**
 * Reads what the SDK threw. The SDK's error itself is not kept: it may hold the request.
 *
 * @throws {ProvisioningError} unless the service decided something.
 */
export function verdictOf(thrown: unknown, call: string, now: number): Verdict {
  if (thrown instanceof ProvisioningError) throw thrown;
  const error = sdkError.safeParse(thrown).data;
  const { name = 'Error', message = String(thrown), $metadata, $response } = error ?? {};
  const words = serverWords(message);
  const reason = `${serverWords(name, [], 80)}: ${words}`;
  const headers = $response?.headers ?? {};
  if (name === 'RequestInProgressException') {
    return { kind: 'in-progress', retryAfterMs: retryAfterOf(headers, now) };
  }
  if (name === 'RequestAlreadyProcessedException') return { kind: 'done' };
  if (isDecision(name, words)) return { kind: 'rejected', reason };
  const found = $metadata?.httpStatusCode ?? $response?.statusCode;
  // Without a refusal's status the SDK could not read what came.
  const status = statuses[name] ?? (found !== undefined && found >= 400 ? found : 200);
  const what = `aws-private-ca ${call}: ${found === undefined ? '' : `${found} `}${reason}`;
  throw statusProblem({ status, headers, body: Buffer.alloc(0) }, { what, isOwn: true, now });
}

/**
 * Whether the service decided against this very request. InvalidArgsException may be about the template, the
 * signing algorithm or the validity too: those are the administrator's, and would refuse everybody.
 */
function isDecision(name: string, words: string): boolean {
  if (name === 'MalformedCSRException' || name === 'RequestFailedException') return true;
  return (
    name === 'InvalidArgsException' && /\bcsr\b|signing request|subject|public key/i.test(words)
  );
}
