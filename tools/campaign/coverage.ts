import { points } from './points.ts';
import { readTrail } from './trail.ts';

const reachable = points.filter(({ reach }) => reach === 'reachable').map(({ name }) => name);

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

  /** The reachable points that were hit least. */
  least(): string[] {
    const hitsOf = (point: string) => this.#hits.get(point) ?? 0;
    const fewest = Math.min(...reachable.map(hitsOf));
    return reachable.filter((point) => hitsOf(point) === fewest);
  }

  /** A short campaign cannot hit every point. */
  isOwed(kills: number): boolean {
    return kills >= 2 * reachable.length;
  }
}
