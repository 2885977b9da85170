import type { ProvisioningProcess } from '../../src/google/process.ts';
import type { SignDataOperation } from '../../src/google/provisioning-api.ts';
import type { Collected, CsrAdditions, Issuance } from '../../src/plug-in/certificate-authority.ts';

/* What Google and the CA answer in a test: each answer is chosen. */

/** Given by what has nothing to give back. */
export const done: unique symbol = Symbol('done');

/** A value, an error, or what happens at this moment. */
type Answer<Value> = Value | Error | (() => Value | Promise<Value>);

/** The call failed before it left: no token, no connection. */
export class NeverLeft {
  readonly error: Error;

  constructor(error: Error) {
    this.error = error;
  }
}

export interface GoogleAnswers {
  readonly get?: readonly Answer<ProvisioningProcess>[];
  readonly claim?: readonly (Answer<typeof done> | NeverLeft)[];
  readonly signData?: readonly (Answer<SignDataOperation> | NeverLeft)[];
  readonly operation?: readonly Answer<SignDataOperation>[];
  readonly uploadCertificate?: readonly Answer<typeof done>[];
  readonly setFailure?: readonly Answer<typeof done>[];
}

export interface CaAnswers {
  readonly prepare?: readonly Answer<CsrAdditions>[];
  readonly issue?: readonly Answer<Issuance>[];
  readonly collect?: readonly Answer<Collected>[];
  readonly revoke?: readonly Answer<typeof done>[];
}

/** The answers of one side, in turn. What nobody foresaw fails the test. */
export class Script<Name extends string> {
  readonly #answers: Map<string, unknown[]>;
  readonly #note: (call: string, asked: readonly unknown[]) => void;
  readonly #who: string;

  constructor(
    who: string,
    answers: Partial<Record<Name, readonly unknown[]>>,
    note: (call: string, asked: readonly unknown[]) => void,
  ) {
    this.#who = who;
    this.#answers = new Map(
      Object.entries<readonly unknown[] | undefined>(answers).map(([name, list = []]) => [
        name,
        [...list],
      ]),
    );
    this.#note = note;
  }

  has(name: Name): boolean {
    return this.#answers.has(name);
  }

  /** `leave` is what a call of Google's awaits at the last moment. */
  async call<Value>(
    name: Name,
    asked: readonly unknown[],
    leave: () => Promise<void> = async () => undefined,
  ): Promise<Value> {
    const answer = this.#answers.get(name)?.shift();
    if (answer instanceof NeverLeft) throw answer.error;
    await leave();
    this.#note(`${this.#who}: ${name}`, asked);
    if (answer === undefined) throw new Error(`${this.#who}: ${name} was not foreseen.`);
    if (answer instanceof Error) throw answer;
    return (typeof answer === 'function' ? answer() : answer) as Value;
  }

  /** What was foreseen and not asked. */
  get left(): string[] {
    return [...this.#answers].flatMap(([name, { length }]) => (length === 0 ? [] : [name]));
  }
}
