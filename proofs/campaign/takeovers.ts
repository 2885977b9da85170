import type { Evidence } from './evidence.ts';
import type { TrailLine } from './trail.ts';

interface Takeover {
  readonly processId: string;
  /** The instance that died. */
  readonly from: string;
  /** From the death, or from when the process was due where its last act was to let it rest, until it was taken. */
  readonly afterMs: number;
}

export interface Takeovers {
  readonly list: readonly Takeover[];
  readonly deathsWithWork: number;
  readonly p50Ms: number;
  readonly maxMs: number;
}

/** How long each process that an instance held when it was killed waited for another one. */
export function takeoversOf({ lived, outages }: Evidence): Takeovers {
  const takes = new Map<string, number[]>();
  for (const { trail } of lived) {
    for (const { at, word, what } of trail) {
      if (word === 'take') takes.set(what, [...(takes.get(what) ?? []), at]);
    }
  }
  const list: Takeover[] = [];
  let deathsWithWork = 0;
  for (const { instance, trail, endedAt, killed } of lived) {
    if (!killed || endedAt === undefined) continue;
    const held = heldAtTheEnd(trail);
    if (held.size > 0) deathsWithWork += 1;
    for (const [processId, dueAt] of held) {
      const next = takes.get(processId)?.filter((at) => at > endedAt);
      // Written as closed or resting by the dead instance's last act: nobody had to come for it soon.
      if (next === undefined || next.length === 0) continue;
      const at = Math.min(...next);
      // Nobody can take over anything while there is no database.
      const isOverOutage = outages.some(({ from, to }) => from < at && to > endedAt);
      if (isOverOutage) continue;
      const afterMs = Math.max(0, at - Math.max(endedAt, dueAt));
      list.push({ processId, from: instance, afterMs });
    }
  }
  const sorted = list.map(({ afterMs }) => afterMs).sort((one, other) => one - other);
  return {
    list,
    deathsWithWork,
    p50Ms: sorted[Math.floor(sorted.length / 2)] ?? 0,
    maxMs: sorted.at(-1) ?? 0,
  };
}

/**
 * Ids of the processes that were under lease when the trail ends. When an instance is killed in the write that lets
 * one rest, nobody knows whether the write got through: then the process may be due only at the time given with it,
 * otherwise 0.
 */
function heldAtTheEnd(trail: readonly TrailLine[]): Map<string, number> {
  const held = new Map<string, number>();
  for (const { word, what, dueAt = 0 } of trail) {
    if (word === 'take' || word === 'resting') held.set(what, dueAt);
    else if (word === 'rest' || word === 'close') held.delete(what);
  }
  return held;
}
