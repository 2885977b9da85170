import assert from 'node:assert/strict';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { inspect } from 'node:util';
import type {
  CertificateAuthority,
  Issuance,
  RequestedCertificate,
} from '../issue/certificate-authority.ts';

/** Something that this CA cannot be made to do, and why. */
export interface NotSupported {
  readonly notSupported: string;
}

export type Hook<Result = void> = (() => Promise<Result>) | NotSupported;

/** How to make a CA behave in a certain way with the next order. */
export interface Hooks {
  /** Pending at first; the first or second collect gives the certificate. */
  readonly pendThenIssue: Hook;
  /** Pending at first, then decided against. */
  readonly pendThenReject: Hook;
  /** Decided against at once. */
  readonly reject: Hook;
  /** Fails in a way that passes; the order after that is served. */
  readonly failOnce: Hook;
  /** Answers with something that is no certificate; the order after that is served. */
  readonly answerGarbage: Hook;
  /** Does not answer. `reached` resolves when the CA has the order in hand. */
  readonly hang: Hook<{ reached(): Promise<void> }>;
}

/** One CA, made for one case. */
export interface AdapterHarness extends AsyncDisposable {
  /** Connects; a second call gives a second connection to the same CA, as another instance would have it. */
  connect(): Promise<CertificateAuthority>;
  readonly hooks: Hooks;
  /** What must never be seen in an error or a reason. */
  readonly secrets: readonly string[];
  /** DER; issued certificates chain to one of them. */
  readonly roots: () => Promise<readonly Uint8Array[]>;
  /** Whether the CA gives the validity that is asked for. */
  readonly validityAsAsked: true | NotSupported;
  /** What this CA can be asked for where it differs from the usual. */
  readonly wanted?: Partial<RequestedCertificate>;
  /** Processes, sockets and files that are still there and should not be. */
  leftovers(): Promise<readonly string[]>;
}

export interface CaseContext {
  readonly harness: AdapterHarness;
  /** Watched: every error and reason it gives is searched for secrets. */
  readonly authority: CertificateAuthority;
  connect(): Promise<CertificateAuthority>;
}

export interface ContractCase {
  readonly name: string;
  /** Why this CA cannot show it; undefined when it can. */
  readonly lacks?: (context: CaseContext) => string | undefined;
  readonly run: (context: CaseContext) => Promise<void>;
}

/** Runs one case against a harness of its own. Gives the reason when the CA cannot show it. */
export async function runCase(
  contractCase: ContractCase,
  setUp: () => Promise<AdapterHarness>,
): Promise<string | undefined> {
  await using harness = await setUp();
  const said: unknown[] = [];
  const opened: CertificateAuthority[] = [];
  const connect = async () => {
    const authority = await harness.connect();
    opened.push(authority);
    return watched(authority, said);
  };
  let lack: string | undefined;
  try {
    const context = { harness, connect, authority: await connect() };
    lack = contractCase.lacks?.(context);
    if (lack === undefined) await contractCase.run(context);
  } finally {
    for (const authority of opened) await authority[Symbol.asyncDispose]();
  }
  assertNoSecrets(said, harness.secrets);
  await assertNothingLeft(harness);
  return lack;
}

/** The same authority; what it says when it fails or refuses is kept. */
function watched(authority: CertificateAuthority, said: unknown[]): CertificateAuthority {
  return new Proxy(authority, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      return async (...given: unknown[]) => {
        try {
          const answer: unknown = await value.apply(target, given);
          if (isRejected(answer)) said.push(answer.reason);
          return answer;
        } catch (error) {
          said.push(error);
          throw error;
        }
      };
    },
  });
}

function isRejected(answer: unknown): answer is Issuance & { kind: 'rejected' } {
  return (
    typeof answer === 'object' && answer !== null && 'kind' in answer && answer.kind === 'rejected'
  );
}

function assertNoSecrets(said: readonly unknown[], secrets: readonly string[]): void {
  for (const one of said) {
    const shown = inspect(one, { depth: 10, maxStringLength: null, maxArrayLength: null });
    for (const [index, secret] of secrets.entries()) {
      assert(!shown.includes(secret), `secret number ${index + 1} is in an error or a reason`);
    }
  }
}

/** What is being ended may take a moment to go. */
export async function assertNothingLeft(harness: AdapterHarness): Promise<void> {
  const deadline = Date.now() + 3_000;
  let left = await harness.leftovers();
  while (left.length > 0 && Date.now() < deadline) {
    await sleepFor(20);
    left = await harness.leftovers();
  }
  assert.deepEqual(left, [], 'something was left behind');
}
