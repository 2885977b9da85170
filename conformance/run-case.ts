import { setTimeout as sleepFor } from 'node:timers/promises';
import { inspect } from 'node:util';
import type { CertificateAuthority, Issuance } from '../src/plug-in/certificate-authority.ts';
import { Breach, breachOf, type Lesson, NotShown } from './breach.ts';
import type { AdapterHarness, ContractCase } from './harness.ts';
import { within } from './within.ts';

export type Verdict =
  | { readonly kind: 'passed' }
  | { readonly kind: 'not supported'; readonly reason: string }
  | { readonly kind: 'failed'; readonly breaches: readonly Breach[] };

/** A case that takes longer waits for something that does not come. */
const usualCaseMs = 60_000;
const longestDisposalMs = 10_000;

/**
 * Runs one case against a harness of its own, and checks that no secret was revealed and everything was released.
 * Throws only what the harness itself throws.
 */
export async function runCase(
  contractCase: ContractCase,
  setUp: () => Promise<AdapterHarness>,
  longestCaseMs?: number,
): Promise<Verdict> {
  await using harness = await setUp();
  const { secrets } = harness;
  const said: unknown[] = [];
  const opened: CertificateAuthority[] = [];
  const breaches: Breach[] = [];
  let lack: string | undefined;
  const attempt = async (lesson: Lesson, longestMs: number, step: () => Promise<unknown>) => {
    try {
      await within(longestMs, step());
    } catch (error) {
      if (error instanceof NotShown) lack = error.message;
      else breaches.push(breachOf(error, lesson, secrets));
    }
  };
  const connect = async () => {
    const authority = await harness.connect();
    opened.push(authority);
    return watched(authority, said);
  };
  const longestMs = longestCaseMs ?? usualCaseMs + (harness.patienceMs ?? 0);
  await attempt(contractCase, longestMs, async () => {
    const context = { harness, connect, authority: await connect() };
    lack = contractCase.lacks?.(context);
    if (lack === undefined) await contractCase.run(context);
  });
  for (const authority of opened) {
    await attempt(disposal, longestDisposalMs, async () => authority[Symbol.asyncDispose]());
  }
  breaches.push(...told(said, secrets));
  await attempt(disposal, longestDisposalMs, () => refuseLeftovers(harness));
  if (breaches.length > 0) return { kind: 'failed', breaches };
  return lack === undefined ? { kind: 'passed' } : { kind: 'not supported', reason: lack };
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

/** A secret is in an error or a reason. */
export class SecretTold extends Breach {}

export const silence: Lesson = {
  expected: 'no secret in any error or reason: they reach logs.',
  mend: 'leave out of messages what was sent to the CA, and take our own credentials and the ticket out of what the CA says before quoting it.',
};

function told(said: readonly unknown[], secrets: readonly string[]): Breach[] {
  const shown = said.map((one) =>
    inspect(one, { depth: 10, maxStringLength: null, maxArrayLength: null }),
  );
  const seen = secrets.flatMap((secret, index) =>
    shown.some((text) => text.includes(secret)) ? [index + 1] : [],
  );
  return seen.map(
    (at) => new SecretTold(silence, `secret number ${at} is in an error or a reason.`),
  );
}

const disposal: Lesson = {
  expected: 'nothing of an adapter is left when its calls have ended and it is disposed of.',
  mend: 'end what a call has started (a request, a process, a timer, a file) when its signal is aborted, and the rest in [Symbol.asyncDispose].',
};

/** Throws when something is left behind. What is being ended may take a moment to go. */
export async function refuseLeftovers(harness: AdapterHarness): Promise<void> {
  const deadline = Date.now() + 3_000;
  let left = await harness.leftovers();
  while (left.length > 0 && Date.now() < deadline) {
    await sleepFor(20);
    left = await harness.leftovers();
  }
  if (left.length > 0) throw new Breach(disposal, `left behind: ${left.join(', ')}.`);
}
