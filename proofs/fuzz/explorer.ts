import fc from 'fast-check';
import { attempt, type Outcome } from './attempt.ts';
import type { Door } from './door.ts';
import { mutate } from './mutate.ts';
import { Random } from './random.ts';

const mostKept = 400;
const generatedAtOnce = 64;

export interface Found {
  readonly door: string;
  readonly input: Uint8Array;
  readonly what: string;
}

/**
 * Tries inputs at one door. What ends in a way not seen before is kept, and mutated further: so it gets
 * deeper step by step, without instrumenting the code.
 */
export class Explorer {
  readonly door: Door;
  tried = 0;
  accepted = 0;
  readonly #random: Random;
  readonly #corpus: Uint8Array[];
  readonly #traces = new Set<string>();
  #generated: Uint8Array[] = [];
  #seedsLeft: Uint8Array[];

  constructor(door: Door, seed: number) {
    this.door = door;
    this.#random = new Random(seed);
    this.#corpus = [...door.seeds];
    this.#seedsLeft = [...door.seeds];
  }

  /** Different ways in which inputs ended. */
  get traces(): number {
    return this.#traces.size;
  }

  /** The next input: first the seeds as they are, then what comes of them. */
  next(): Uint8Array {
    const seed = this.#seedsLeft.pop();
    if (seed !== undefined) return seed;
    const generated = this.#random.below(5) === 0 ? this.#generate() : undefined;
    if (generated !== undefined) return generated;
    const from = this.#corpus.length === 0 ? new Uint8Array() : this.#random.pick(this.#corpus);
    return mutate(from, this.door, this.#corpus, this.#random);
  }

  /** Tries an input and learns from it. */
  async try(input: Uint8Array): Promise<Found | undefined> {
    this.tried += 1;
    const outcome = await attempt(this.door, input);
    if (outcome.kind === 'finding') return { door: this.door.name, input, what: outcome.what };
    this.#learn(input, outcome);
    return undefined;
  }

  #learn(input: Uint8Array, outcome: Extract<Outcome, { kind: 'fine' }>): void {
    if (outcome.accepted) this.accepted += 1;
    if (this.#traces.has(outcome.trace) || this.#traces.size > 10_000) return;
    this.#traces.add(outcome.trace);
    if (this.#corpus.length < mostKept) this.#corpus.push(input.slice());
    else this.#corpus[this.#random.below(mostKept)] = input.slice();
  }

  #generate(): Uint8Array | undefined {
    const { generated } = this.door;
    if (generated === undefined) return undefined;
    if (this.#generated.length === 0) {
      const seed = this.#random.below(2 ** 31);
      this.#generated = fc.sample(generated, { seed, numRuns: generatedAtOnce });
    }
    return this.#generated.pop();
  }
}
