import type { Breach } from './breach.ts';
import type { Evidence } from './evidence.ts';
import { type Point, points } from './points.ts';

export interface PointTally extends Point {
  /** How many instances passed it. */
  readonly passedBy: number;
  /** How many died at it. */
  readonly hits: number;
}

export interface PointTallies {
  readonly list: readonly PointTally[];
  readonly breaches: readonly Breach[];
}

/** What happened at each point, and where it is not what points.ts says. */
export function tallyPoints({ lived, options }: Pick<Evidence, 'lived' | 'options'>): PointTallies {
  const passedBy = new Map<string, number>();
  const hits = new Map<string, number>();
  for (const { trail } of lived) {
    for (const { word, what } of trail) {
      const counts = word === 'pass' ? passedBy : word === 'die' ? hits : undefined;
      counts?.set(what, (counts.get(what) ?? 0) + 1);
    }
  }
  const list = points.map((point) => ({
    ...point,
    passedBy: passedBy.get(point.name) ?? 0,
    hits: hits.get(point.name) ?? 0,
  }));
  const breaches: Breach[] = [];
  const known = new Set(points.map(({ name }) => name));
  for (const name of passedBy.keys()) {
    if (!known.has(name)) breaches.push(wrong(`${name} is not in the list of points.`));
  }
  const reachable = list.filter(({ reach }) => reach === 'reachable');
  const isOwed = options.kills >= 2 * reachable.length;
  for (const { name, reach, passedBy: passes, hits: deaths } of list) {
    if (reach === 'unreachable' && passes > 0) {
      breaches.push(wrong(`${name} was passed, although it is said to be out of reach.`));
    }
    if (reach === 'reachable' && deaths === 0 && isOwed) {
      breaches.push(wrong(`${name} was never hit.`));
    }
  }
  return { list, breaches };
}

function wrong(what: string): Breach {
  return { kind: 'points', what };
}
