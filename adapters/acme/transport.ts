import { AsyncLocalStorage } from 'node:async_hooks';
import acme from 'acme-client';
import type { Clock } from '../../src/clock.ts';
import { ProvisioningError } from '../../src/errors.ts';
import type { AdapterHttp, HttpRequest } from '../shared/http.ts';
import { quote } from '../shared/json-answer.ts';
import { AcmeProblem, problemOf } from './problem.ts';

/*
 * acme-client speaks the protocol: JWS, nonces, account binding. Its own HTTP has one TLS trust for the whole
 * process, no abort, repeats of its own and errors without their problem type. So its requests go through
 * ours, which is known to them by the asynchronous context that they run in.
 */

interface Context {
  readonly http: AdapterHttp;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** The last answer was badNonce, which acme-client repeats five times by itself (RFC 8555 6.5). */
  badNonce: boolean;
}

const contexts = new AsyncLocalStorage<Context>();

acme.axios.defaults.adapter = async (config) => {
  const context = contexts.getStore();
  if (context === undefined) throw new Error('A request of acme-client outside withTransport().');
  const { http, clock, signal } = context;
  const url = config.url ?? '';
  const body: unknown = config.data;
  const answer = await http.request(
    {
      method: (config.method ?? 'get').toUpperCase() as HttpRequest['method'],
      url,
      headers: { 'content-type': 'application/jose+json', 'user-agent': 'certprov' },
      ...(typeof body === 'string' ? { body } : {}),
    },
    signal,
  );
  const { status, headers } = answer;
  if (status >= 300 && status < 400) {
    throw new ProvisioningError('ca-misconfigured', `${new URL(url).origin} answered ${status}.`);
  }
  context.badNonce = false;
  if (status >= 400) {
    const problem = problemOf(answer, url, clock);
    if (problem.type !== 'badNonce') throw problem;
    context.badNonce = true;
  }
  const data = answer.body.toString('utf8');
  return {
    data,
    status,
    statusText: '',
    headers: { ...headers } as Record<string, string>,
    config,
  };
};

/**
 * Runs calls of acme-client over our own connection.
 *
 * @throws {AcmeProblem} what the server objected.
 * @throws {ProvisioningError} no answer, or one that is not ACME.
 */
export async function withTransport<Result>(
  given: Omit<Context, 'badNonce'>,
  work: () => Promise<Result>,
): Promise<Result> {
  const context: Context = { ...given, badNonce: false };
  try {
    return await contexts.run(context, work);
  } catch (error) {
    given.signal.throwIfAborted();
    if (error instanceof AcmeProblem || error instanceof ProvisioningError) throw error;
    const said = quote(error instanceof Error ? error.message : String(error));
    throw new ProvisioningError(
      context.badNonce ? 'ca-unavailable' : 'ca-bad-answer',
      context.badNonce
        ? `The ACME server refused six nonces of its own in a row: ${said}`
        : `The ACME server's answer is not what RFC 8555 promises: ${said}`,
      { cause: error },
    );
  }
}
