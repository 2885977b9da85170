import { basename, dirname, join } from 'node:path';
import { isErrorCode, ProvisioningError } from '../errors.ts';
import { DeadlineError, withDeadline } from '../time/deadline.ts';
import { scrub } from '../words/scrub.ts';
import type {
  AdapterDefinition,
  CertificateAuthority,
  Collected,
  ConnectContext,
  Issuance,
} from './certificate-authority.ts';
import {
  additionsProblem,
  authorityProblem,
  collectedProblem,
  decidedProblem,
  issuanceProblem,
  shown,
} from './plug-in-values.ts';

/*
 * The boundary to a plug-in: what it returns is checked, and what it throws without a code gets one, so a mistake is
 * reported with the plug-in's name and not as a fault of the service.
 */

/** connect() gets ready, and does not need the CA to answer. */
const longestConnectMs = 30_000;
/** How much to keep of what a plug-in says itself. In characters. */
const mostSaid = 300;

/** A plug-in did something that no plug-in may do; the message says what. */
export class PlugInError extends ProvisioningError {
  override readonly name = 'PlugInError';
}

/** The same definition, but its connect() gives only what keeps to the contract. `kind` is how it is configured. */
export function checkedPlugIn(kind: string, definition: AdapterDefinition): AdapterDefinition {
  const connect: AdapterDefinition['connect'] = async (options, context, signal) => {
    const secrets = new Set<string>();
    const watched = { ...context, readSecret: noting(secrets, context) };
    const authority = await connected(kind, definition, options, watched, signal);
    const problem = authorityProblem(authority);
    if (problem !== undefined) throw new Error(`${kind} connect() returned ${problem}.`);
    return new CheckedAuthority(kind, authority as CertificateAuthority, secrets);
  };
  return Object.create(definition, { connect: { value: connect, enumerable: true } });
}

/** A shorter secret would be found in any text. In characters. */
const shortestSecret = 4;

/** Reads secrets, and remembers them so that no error of the plug-in reported here reveals them. */
function noting(secrets: Set<string>, context: ConnectContext): ConnectContext['readSecret'] {
  return async (reference) => {
    const secret = await context.readSecret(reference);
    if (secret.length >= shortestSecret) secrets.add(secret);
    return secret;
  };
}

async function connected(
  kind: string,
  definition: AdapterDefinition,
  options: unknown,
  context: ConnectContext,
  signal: AbortSignal,
): Promise<unknown> {
  try {
    // It may keep the signal it is given for as long as the service runs.
    return await withDeadline(context.clock, longestConnectMs, signal, async () =>
      definition.connect(options, context, signal),
    );
  } catch (error) {
    if (error instanceof DeadlineError) {
      const problem = `${kind} connect() did not end within ${longestConnectMs / 1_000} seconds. It makes ready, and needs no CA that answers.`;
      throw new Error(problem, { cause: error });
    }
    if (error instanceof Error) throw error;
    throw new Error(`${kind} connect() threw ${shown(error)} instead of an error.`);
  }
}

class CheckedAuthority implements CertificateAuthority {
  readonly collect?: NonNullable<CertificateAuthority['collect']>;
  readonly prepare?: NonNullable<CertificateAuthority['prepare']>;
  readonly revoke?: NonNullable<CertificateAuthority['revoke']>;
  readonly #name: string;
  readonly #inner: CertificateAuthority;
  readonly #secrets: ReadonlySet<string>;

  constructor(name: string, inner: CertificateAuthority, secrets: ReadonlySet<string>) {
    this.#name = name;
    this.#inner = inner;
    this.#secrets = secrets;
    if (inner.collect !== undefined) {
      this.collect = async (...given) => {
        const answer = await this.#ask('collect', given[2], () => inner.collect?.(...given));
        return this.#right<Collected>('collect', answer, collectedProblem);
      };
    }
    if (inner.prepare !== undefined) {
      this.prepare = async (request, signal) => {
        const additions: unknown = await this.#ask('prepare', signal, () =>
          inner.prepare?.(request, signal),
        );
        return this.#right('prepare', additions ?? {}, additionsProblem);
      };
    }
    if (inner.revoke !== undefined) {
      this.revoke = async (certificate, reason, signal) => {
        await this.#ask('revoke', signal, () => inner.revoke?.(certificate, reason, signal));
      };
    }
  }

  get kind(): string {
    return this.#inner.kind;
  }

  get features(): CertificateAuthority['features'] {
    return this.#inner.features;
  }

  async check(signal: AbortSignal): Promise<void> {
    await this.#ask('check', signal, () => this.#inner.check(signal));
  }

  async issue(...given: Parameters<CertificateAuthority['issue']>): Promise<Issuance> {
    const answer = await this.#ask('issue', given[1], () => this.#inner.issue(...given));
    const problemOf = this.collect === undefined ? decidedProblem : issuanceProblem;
    return this.#right('issue', answer, problemOf);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]();
  }

  async #ask<Answer>(
    call: string,
    signal: AbortSignal,
    run: () => Answer | Promise<Answer>,
  ): Promise<Answer> {
    try {
      return await run();
    } catch (error) {
      // Whatever ends a call that was aborted is the abort's own affair.
      if (signal.aborted) throw error;
      throw asProvisioningError(`${this.#name} ${call}()`, error, this.#secrets);
    }
  }

  /** The answer, if it is one. An order whose answer is not valid may have been carried out, as with any CA. */
  #right<Answer>(
    call: string,
    answer: unknown,
    problemOf: (answer: unknown) => string | undefined,
  ): Answer {
    const problem = problemOf(answer);
    if (problem === undefined) return answer as Answer;
    throw new PlugInError('ca-bad-answer', `${this.#name} ${call}() returned ${problem}.`);
  }
}

/** Codes that a CA can be the reason for. Others end processes for reasons that are not its own. */
const codesOfCas = /^(ca|certificate|key|name)-/;

function asProvisioningError(
  call: string,
  error: unknown,
  secrets: ReadonlySet<string>,
): ProvisioningError {
  if (!(error instanceof Error)) {
    const problem = `${call} threw ${shown(error)} instead of an error.`;
    return new PlugInError('ca-bad-answer', problem);
  }
  const { code, retryAfterMs, unanswered } = error as Partial<ProvisioningError> & Error;
  const isOurs = error.name === 'ProvisioningError' || error instanceof ProvisioningError;
  if (isOurs && typeof code === 'string' && isErrorCode(code) && codesOfCas.test(code)) {
    if (error instanceof ProvisioningError) return error;
    // It comes from another copy of this package, which a bundler or a package manager may have installed.
    return new ProvisioningError(code, error.message, {
      cause: error,
      ...(typeof retryAfterMs === 'number' ? { retryAfterMs } : {}),
      ...(typeof unanswered === 'boolean' ? { unanswered } : {}),
    });
  }
  const told = [...secrets].reduce(
    (rest, secret) => rest.replaceAll(secret, '[a secret]'),
    `${error.name}: ${error.message}`,
  );
  const said = scrub(told).replaceAll(/\s+/g, ' ').slice(0, mostSaid);
  const what = isOurs
    ? 'threw a ProvisioningError whose code is none of a CA’s (ca-unavailable, ca-throttled, ca-misconfigured, ca-bad-answer)'
    : 'threw an error without a code (a ProvisioningError has one)';
  const message = `${call} ${what}: ${said}${placeOf(error)}`;
  return new PlugInError(isOfTheNetwork(error) ? 'ca-unavailable' : 'ca-bad-answer', message, {
    cause: error,
  });
}

/** ECONNREFUSED, ENOTFOUND, UND_ERR_SOCKET …, of the error or of its cause, as with fetch(). */
export function isOfTheNetwork(error: Error): boolean {
  return [error, error.cause].some((one) => {
    const code = one instanceof Error && 'code' in one ? one.code : undefined;
    return typeof code === 'string' && /^(E[A-Z]{3,}|UND_ERR_[A-Z_]+)$/.test(code);
  });
}

const ours = join(dirname(import.meta.dirname), '/');

/** ` (my-ca.ts:12:5)`: the innermost line that is neither Node's nor ours. */
export function placeOf({ stack = '' }: Error): string {
  const places = stack.matchAll(/(?:file:\/\/|[ (])(\/[^\s()]+):(\d+:\d+)\)?$/gm);
  for (const [, file = '', position] of places) {
    if (!file.startsWith(ours)) return ` (${basename(file)}:${position})`;
  }
  return '';
}
