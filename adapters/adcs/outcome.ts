import { ProvisioningError } from '../../src/errors.ts';
import type { HttpAnswer } from '../shared/http.ts';
import { statusProblem } from '../shared/status-problem.ts';
import { formatHresult, meaningOf } from './hresult.ts';

/** What the CA says about a request. */
export type Outcome =
  | {
      readonly kind: 'issued';
      readonly certificates: readonly Uint8Array[];
      /** Set when the certificates may be the CA's alone: without ours among them the request is pending. */
      readonly requestId?: string;
    }
  | { readonly kind: 'pending'; readonly requestId: string; readonly soon?: boolean }
  | { readonly kind: 'rejected'; readonly reason: string };

/** One of the two ways to a Windows CA. */
export interface Transport {
  /** Resolves when the CA could be asked. */
  check(signal: AbortSignal): Promise<void>;
  /** `csr` is DER; `template` the template's name (cn). */
  submit(order: Order, signal: AbortSignal): Promise<Outcome>;
  retrieve(requestId: string, order: Order, signal: AbortSignal): Promise<Outcome>;
}

export interface Order {
  readonly csr: Uint8Array;
  readonly template: string | undefined;
}

/** A server's words as `serverWords` gives them, without the password. */
export type Words = (said: string | Buffer, longest?: number) => string;

/** A decision, or a thrown error: what the CA's code means. `words` are the CA's own, fit to be read. */
export function outcomeOfHresult(hresult: number, words: string): Outcome {
  const meaning = meaningOf(hresult);
  const text = `${formatHresult(hresult)}, ${meaning.name}: ${words || 'no words'}`;
  if (meaning.kind === 'rejected') return { kind: 'rejected', reason: text };
  throw new ProvisioningError(meaning.code, `adcs: ${text}`);
}

/** The error of an HTTP status: web servers speak in pages, the CA does not. */
export function errorOfStatus(answer: HttpAnswer, now: number, words: Words): ProvisioningError {
  const { status, body } = answer;
  if (status === 500 && body.length === 0) {
    return new ProvisioningError(
      'ca-misconfigured',
      'adcs: 500 without a word. Look at the service’s bindings and Extended Protection in IIS.',
      { unanswered: true },
    );
  }
  const isDenied = status === 401 || status === 403;
  return statusProblem(answer, {
    what: `adcs: the server answered ${status}: ${words(body, 200) || 'nothing'}`,
    isOwn: false,
    now,
    hint: isDenied
      ? 'Check the user name and password or the client certificate, and that the URL is of the way of authentication that is configured.'
      : 'Check url.',
  });
}

export function badAnswer(what: string): ProvisioningError {
  return new ProvisioningError('ca-bad-answer', `adcs: ${what}`);
}
