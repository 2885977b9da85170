export interface Span {
  readonly from: number;
  readonly to: number;
}

/** How much of the time from `from` to `to` lies within at least one of the spans. */
export function coveredTime(spans: readonly Span[], from: number, to: number): number {
  let covered = 0;
  let until = from;
  for (const span of spans.toSorted((one, other) => one.from - other.from)) {
    const start = Math.max(until, span.from);
    const end = Math.min(to, span.to);
    if (end <= start) continue;
    covered += end - start;
    until = end;
  }
  return covered;
}
