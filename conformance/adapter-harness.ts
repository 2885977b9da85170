import { resolve } from 'node:path';
import type { AdapterDefinition } from '../src/plug-in/certificate-authority.ts';
import { readSecret } from '../src/plug-in/secret.ts';
import type { RequestedCertificate } from '../src/request/requested-certificate.ts';
import { systemClock } from '../src/time/clock.ts';
import type { AdapterHarness, Hooks, NotSupported } from './harness.ts';
import { noHook } from './misbehaviour-cases.ts';

/** A CA to run the contract against, made for one case. What is left out is not supported, or not known. */
export interface CaUnderTest extends Partial<AsyncDisposable> {
  /** For the adapter, laid over those of an options file; a CA that was just started knows its own URL. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Environment variables in which the options' secrets are, besides the process's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** How to make the CA misbehave with the next order. */
  readonly hooks?: Partial<Hooks>;
  /** What must never be revealed, besides the secrets that the adapter reads. */
  readonly secrets?: readonly string[];
  /** The CA's root certificates, DER. */
  readonly roots?: () => Promise<readonly Uint8Array[]>;
  readonly validityAsAsked?: true | NotSupported;
  /** What this CA can be asked for where it differs from the usual. */
  readonly wanted?: Partial<RequestedCertificate>;
  readonly patienceMs?: number;
  readonly promptMs?: number;
  /** What is still there and should not be: open requests, processes, files. */
  readonly leftovers?: () => Promise<readonly string[]>;
}

/** What else is known; what the CA says itself takes precedence. */
interface Surroundings extends Pick<CaUnderTest, 'roots' | 'patienceMs' | 'wanted'> {
  /** As an options file has them, not yet checked. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Where relative paths start. */
  readonly directory?: string;
}

/** A shorter secret would be found in any text. In characters. */
const shortestSecret = 4;

/** The harness of an adapter over a CA: connects as the service does, and knows the secrets it was asked for. */
export function adapterHarness(
  definition: AdapterDefinition,
  ca: CaUnderTest = {},
  surroundings: Surroundings = {},
): AdapterHarness {
  const { options, directory = '.' } = surroundings;
  const secrets = [...(ca.secrets ?? [])];
  const env = { ...process.env, ...ca.env };
  return {
    async connect() {
      const given = await definition.options.parseAsync({ ...options, ...ca.options });
      const context = {
        clock: systemClock,
        resolvePath: (path: string) => resolve(directory, path),
        async readSecret(reference: Parameters<typeof readSecret>[0]) {
          const secret = await readSecret(reference, env, directory);
          if (secret.length >= shortestSecret && !secrets.includes(secret)) secrets.push(secret);
          return secret;
        },
      };
      return definition.connect(given, context, new AbortController().signal);
    },
    hooks: { ...hooksLeftOut, ...ca.hooks },
    secrets,
    async roots() {
      const known = ca.roots === undefined ? surroundings.roots?.() : ca.roots();
      return (await known) ?? [];
    },
    validityAsAsked: ca.validityAsAsked,
    leftovers: async () => (await ca.leftovers?.()) ?? [],
    wanted: { ...surroundings.wanted, ...ca.wanted },
    patienceMs: ca.patienceMs ?? surroundings.patienceMs,
    promptMs: ca.promptMs,
    [Symbol.asyncDispose]: async () => ca[Symbol.asyncDispose]?.(),
  };
}

const hooksLeftOut: Hooks = {
  pendThenIssue: noHook,
  pendThenReject: noHook,
  reject: noHook,
  failOnce: noHook,
  answerGarbage: noHook,
  hang: noHook,
};
