import { setImmediate as turn } from 'node:timers/promises';
import { Breach, cameText, type Lesson, masked } from './breach.ts';
import type { AdapterHarness, ContractCase } from './harness.ts';
import { OutputWatch } from './output-watch.ts';
import { runCase, SecretTold, silence, type Verdict } from './run-case.ts';

/**
 * Runs cases one after another in this process and watches what a test runner would: output, and rejections that
 * nobody handles. A revealed secret counts once, at the end.
 */
export class Judge {
  readonly verdicts: Verdict[] = [];
  readonly #setUp: () => Promise<AdapterHarness>;
  readonly #longestCaseMs: number | undefined;
  readonly #secrets = new Set<string>();
  readonly #told: string[] = [];

  /** `longestCaseMs`: how long each case may take. */
  constructor(setUp: () => Promise<AdapterHarness>, longestCaseMs?: number) {
    this.#setUp = setUp;
    this.#longestCaseMs = longestCaseMs;
  }

  /** All that are known so far. */
  get secrets(): readonly string[] {
    return [...this.#secrets];
  }

  async run(contractCase: ContractCase): Promise<Verdict> {
    let secrets: readonly string[] = [];
    const setUp = async () => {
      const harness = await this.#setUp();
      secrets = harness.secrets;
      return harness;
    };
    const { verdict, output } = await watched(() =>
      runCase(contractCase, setUp, this.#longestCaseMs),
    );
    for (const secret of secrets) this.#secrets.add(secret);
    if (secrets.some((secret) => output.includes(secret))) {
      this.#told.push(`a secret was written to stdout or stderr in “${contractCase.name}”`);
    }
    if (output !== '') process.stderr.write(masked(output, this.secrets));
    return this.#counted(this.#withoutTold(contractCase, verdict));
  }

  /** Whether a secret was revealed in any of the cases so far. */
  conclude(): Verdict {
    const breaches = [new Breach(silence, `${this.#told.join('; ')}.`)];
    if (this.#told.length > 0) return this.#counted({ kind: 'failed', breaches });
    if (this.#secrets.size > 0) return this.#counted({ kind: 'passed' });
    const reason = 'It reads no secret, and no harness names one.';
    return this.#counted({ kind: 'not supported', reason });
  }

  #counted(verdict: Verdict): Verdict {
    this.verdicts.push(verdict);
    return verdict;
  }

  #withoutTold(contractCase: ContractCase, verdict: Verdict): Verdict {
    if (verdict.kind !== 'failed') return verdict;
    const breaches = verdict.breaches.filter((breach) => !(breach instanceof SecretTold));
    if (breaches.length < verdict.breaches.length) {
      this.#told.push(`a secret is in an error or a reason in “${contractCase.name}”`);
    }
    return breaches.length === 0 ? { kind: 'passed' } : { kind: 'failed', breaches };
  }
}

const handled: Lesson = {
  expected: 'every promise is awaited, or its rejection is handled.',
  mend: 'await it or add a catch: a rejection that nobody handles ends the whole service.',
};

async function watched(
  run: () => Promise<Verdict>,
): Promise<{ readonly verdict: Verdict; readonly output: string }> {
  const strays: unknown[] = [];
  const note = (reason: unknown) => strays.push(reason);
  process.on('unhandledRejection', note);
  using output = new OutputWatch();
  try {
    const verdict = await run();
    await turn(); // Node reports a rejection only when the event loop comes round.
    if (strays.length === 0) return { verdict, output: output.text };
    const breaches = strays.map((stray) => new Breach(handled, cameText(stray, [])));
    const others = verdict.kind === 'failed' ? verdict.breaches : [];
    return { verdict: { kind: 'failed', breaches: [...others, ...breaches] }, output: output.text };
  } finally {
    process.off('unhandledRejection', note);
  }
}
