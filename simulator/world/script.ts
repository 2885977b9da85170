import type { Fate, Fates } from './wire.ts';

/** What happens to the nth call (from 1) of a port's method; all others go well. */
export interface Stroke extends Fate {
  /** As `google.claim`. */
  readonly call: string;
  readonly turn?: number;
}

/** A scenario's fates. */
export function strokes(...list: readonly Stroke[]): Fates {
  const turns = new Map<string, number>();
  return ({ port, method }) => {
    const name = `${port}.${method}`;
    const turn = (turns.get(name) ?? 0) + 1;
    turns.set(name, turn);
    return list.find((stroke) => stroke.call === name && (stroke.turn ?? 1) === turn) ?? {};
  };
}
