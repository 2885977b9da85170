import type { JournalSummary } from './journal.ts';

/** From how many entries are in each room, or `closed`; a room that is missing has none. */
export function summaryOf(tally: ReadonlyMap<string, number>): JournalSummary {
  const count = (where: string) => tally.get(where) ?? 0;
  const open = {
    claim: count('claim'),
    possession: count('possession'),
    issue: count('issue'),
    deliver: count('deliver'),
  };
  return { open, closed: count('closed') };
}
