import { points } from './points.ts';
import { readTrail } from './trail.ts';

const reachable = points.filter(({ reach }) => reach === 'reachable').map(({ name }) => name);
const preludeOf = new Map(points.map(({ name, prelude }) => [name, prelude]));
/** With so few points left, what leads to them is worth a kill of its own. */
const few = 12;

/** How often an instance died at each point. */
export class Coverage {
  readonly #hits = new Map<string, number>();

  read(trailPath: string): void {
    for (const { word, what } of readTrail(trailPath)) {
      if (word === 'die') this.#hits.set(what, (this.#hits.get(what) ?? 0) + 1);
    }
  }

  missing(): string[] {
    return reachable.filter((point) => !this.#hits.has(point));
  }

  /** What is to be hit next: the least hit points or, at every other turn, what leads to the last of them. */
  next(turn: number): string[] {
    const least = this.#least();
    if (turn % 2 === 0 || least.length > few) return least;
    const preludes = new Set(least.map((point) => preludeOf.get(point)));
    preludes.delete(undefined);
    return preludes.size === 0 ? least : [...preludes].filter((point) => point !== undefined);
  }

  #least(): string[] {
    const hitsOf = (point: string) => this.#hits.get(point) ?? 0;
    const fewest = Math.min(...reachable.map(hitsOf));
    return reachable.filter((point) => hitsOf(point) === fewest);
  }

  /** A short campaign cannot hit every point. */
  isOwed(kills: number): boolean {
    return kills >= 2 * reachable.length;
  }
}
