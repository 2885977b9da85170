import { errors } from 'undici';
import { ProvisioningError } from '../../src/errors.ts';
import { ProxyError } from '../../src/network/proxy.ts';
import { DeadlineError } from '../../src/time/deadline.ts';
import type { Progress } from './exchange.ts';
import { codeOf, tlsTrouble } from './tls.ts';

/**
 * What it means that no whole answer came.
 *
 * @param origin of the server; path and query may hold names of people.
 * @param safe whether the request could change nothing at the server.
 */
export function problemOf(
  error: unknown,
  origin: string,
  progress: Progress,
  safe: boolean,
): ProvisioningError {
  const mayBeDone = progress.sent && !safe;
  if (error instanceof ProvisioningError) {
    const { code, message } = error;
    return new ProvisioningError(code, `${origin}: ${message}`, {
      cause: error,
      unanswered: mayBeDone,
    });
  }
  if (error instanceof ProxyError) return problemOfProxy(error, origin);
  const trouble = tlsTrouble(error);
  if (trouble !== undefined) {
    // Waiting does not mend whom we trust, nor who we say we are.
    return new ProvisioningError('ca-misconfigured', `No TLS with ${origin}: ${trouble}`, {
      cause: error,
      unanswered: false,
    });
  }
  const isMute = progress.status === undefined && origin.startsWith('http:') && isClosed(error);
  const hint = isMute ? ' Does it speak https on this port?' : '';
  const reason = error instanceof DeadlineError ? error.message : `${reasonOf(error)}.${hint}`;
  const options = { cause: error, unanswered: mayBeDone };
  if (!progress.sent) {
    return new ProvisioningError(
      'ca-unavailable',
      `${origin} cannot be reached: ${reason}`,
      options,
    );
  }
  if (error instanceof DeadlineError || progress.status === undefined) {
    return isNoHttp(error)
      ? new ProvisioningError('ca-bad-answer', `${origin} speaks no HTTP: ${reason}`, options)
      : new ProvisioningError('ca-unavailable', `${origin} did not answer: ${reason}`, options);
  }
  return new ProvisioningError(
    'ca-bad-answer',
    `The answer of ${origin} (status ${progress.status}) was cut short: ${reason}`,
    options,
  );
}

/** A proxy that refused us passed nothing on. */
function problemOfProxy(error: ProxyError, origin: string): ProvisioningError {
  const { status } = error;
  const passes = status === undefined ? error.cause !== undefined : status >= 500;
  return new ProvisioningError(
    passes ? 'ca-unavailable' : 'ca-misconfigured',
    `${origin} cannot be reached: ${error.message}`,
    { cause: error, unanswered: false },
  );
}

/** What a server does that waits for TLS and hears HTTP. */
function isClosed(error: unknown): boolean {
  return ['UND_ERR_SOCKET', 'ECONNRESET'].includes(codeOf(error));
}

function isNoHttp(error: unknown): boolean {
  return error instanceof errors.HTTPParserError;
}

const meanings: Readonly<Record<string, string>> = {
  ENOTFOUND: 'the name does not resolve (ENOTFOUND)',
  EAI_AGAIN: 'the name could not be resolved just now (EAI_AGAIN)',
  ECONNREFUSED: 'nothing listens there (ECONNREFUSED)',
  ECONNRESET: 'the connection was dropped (ECONNRESET)',
  UND_ERR_SOCKET: 'the connection was closed',
};

function reasonOf(error: unknown): string {
  const code = codeOf(error);
  return meanings[code] ?? code;
}
