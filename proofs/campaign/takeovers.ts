import { coveredTime, type Span } from '../../simulator/covered-time.ts';
import type { Evidence, Lived } from './evidence.ts';
import type { TrailLine } from './trail.ts';

/** Takeover may last this long over the lease. */
const patienceMs = 10_000;

interface Takeover {
  readonly processId: string;
  /** The instance that died. */
  readonly from: string;
  /**
   * From the death, or from when the process was due where its last act was to let it rest, until it was taken, less the
   * time in which there was no other instance.
   */
  readonly afterMs: number;
}

export interface Takeovers {
  readonly list: readonly Takeover[];
  readonly deathsWithWork: number;
  readonly p50Ms: number;
  readonly maxMs: number;
  /** Longer is a breach. */
  readonly limitMs: number;
}

/** An instance passes this point from when it can take over until it dies. */
const looksForWork = 'loops journal.takeDue before';

/**
 * How long each process that an instance held when it was killed waited for another one. Only that time counts in which
 * there was another one: with all of them dead or still starting, there is nobody who could be late.
 */
export function takeoversOf({ lived, outages, options }: Evidence): Takeovers {
  const takes = lived.flatMap(({ instance, trail }) =>
    trail.filter(({ word }) => word === 'take').map(({ at, what }) => ({ at, what, instance })),
  );
  const list: Takeover[] = [];
  let deathsWithWork = 0;
  for (const life of lived) {
    const { instance, trail, killed } = life;
    const diedAt = endOf(life);
    if (!killed || diedAt === undefined) continue;
    const watches = lived.filter((other) => other !== life).flatMap(watchOf);
    let hadWork = false;
    for (const [processId, { takenAt, dueAt }] of heldAtTheEnd(trail)) {
      const next = takes.filter((take) => {
        return take.what === processId && take.instance !== instance && take.at >= takenAt;
      });
      const at = Math.min(...next.map((take) => take.at));
      // Its lease had run out before, and another instance may long have let it rest: it was nobody's to take over.
      if (at <= diedAt) continue;
      hadWork = true;
      // Written as closed or resting by the dead instance's last act: nobody had to come for it soon.
      if (at === Number.POSITIVE_INFINITY) continue;
      // Nobody can take over anything while there is no database.
      const isOverOutage = outages.some(({ from, to }) => from < at && to > diedAt);
      if (isOverOutage) continue;
      const afterMs = coveredTime(watches, Math.max(diedAt, dueAt), at);
      list.push({ processId, from: instance, afterMs });
    }
    if (hadWork) deathsWithWork += 1;
  }
  const sorted = list.map(({ afterMs }) => afterMs).sort((one, other) => one - other);
  return {
    list,
    deathsWithWork,
    p50Ms: sorted[Math.floor(sorted.length / 2)] ?? 0,
    maxMs: sorted.at(-1) ?? 0,
    limitMs: options.leaseSeconds * 1_000 + patienceMs,
  };
}

/** Its own last line tells it better than whoever noticed, under load. */
function endOf({ trail, endedAt }: Lived): number | undefined {
  const last = trail.at(-1);
  return last?.word === 'die' ? last.at : endedAt;
}

/** From its first look for work to its end. */
function watchOf(life: Lived): readonly Span[] {
  const first = life.trail.find(({ what }) => what === looksForWork);
  return first === undefined
    ? []
    : [{ from: first.at, to: endOf(life) ?? Number.POSITIVE_INFINITY }];
}

interface Held {
  readonly takenAt: number;
  /** 0 unless the trail ends in the write that lets it rest. */
  readonly dueAt: number;
}

/**
 * The processes that were under lease when the trail ends, by their ids. When an instance is killed in the write that
 * lets one rest, nobody knows whether the write got through: then the process may be due only at the time given with
 * it.
 */
function heldAtTheEnd(trail: readonly TrailLine[]): ReadonlyMap<string, Held> {
  const held = new Map<string, Held>();
  for (const { at, word, what, dueAt = 0 } of trail) {
    if (word === 'take') held.set(what, { takenAt: at, dueAt });
    else if (word === 'resting') held.set(what, { takenAt: held.get(what)?.takenAt ?? at, dueAt });
    else if (word === 'rest' || word === 'close') held.delete(what);
  }
  return held;
}
