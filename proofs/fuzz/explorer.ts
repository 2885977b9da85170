import fc from 'fast-check';
import { attempt } from './attempt.ts';
import type { Door } from './door.ts';
import { inputsFor } from './inputs.ts';

const mostTraces = 10_000;
const drawnAtOnce = 64;

export interface Found {
  readonly input: Uint8Array;
  readonly what: string;
}

/** Tries inputs at one door: first the door's own as they are, then what comes of them. */
export class Explorer {
  tried = 0;
  accepted = 0;
  readonly #door: Door;
  readonly #seed: number;
  readonly #traces = new Set<string>();
  readonly #inputs: fc.Arbitrary<Uint8Array>;
  #drawn: Uint8Array[];
  #draws = 0;

  constructor(door: Door, seed: number) {
    this.#door = door;
    // Far from its neighbours' numbers, since each draw takes the next one.
    this.#seed = Math.imul(seed, 0x9e37_79b1);
    this.#inputs = inputsFor(door);
    this.#drawn = [...door.seeds];
  }

  /** Different ways in which inputs ended. */
  get traces(): number {
    return this.#traces.size;
  }

  next(): Uint8Array {
    if (this.#drawn.length === 0) {
      const seed = this.#seed + this.#draws;
      this.#drawn = fc.sample(this.#inputs, { seed, numRuns: drawnAtOnce });
      this.#draws += 1;
    }
    return this.#drawn.pop() ?? new Uint8Array();
  }

  async try(input: Uint8Array): Promise<Found | undefined> {
    this.tried += 1;
    const outcome = await attempt(this.#door, input);
    if (outcome.kind === 'finding') return { input, what: outcome.what };
    if (outcome.accepted) this.accepted += 1;
    if (this.#traces.size < mostTraces) this.#traces.add(outcome.trace);
    return undefined;
  }
}
