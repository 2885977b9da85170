import type { Memory } from '../plug-in/certificate-authority.ts';
import type { Journal } from './journal.ts';

/** No authority's reference has a line break: these entries are never mistaken for an authority's standing. */
const keyOf = (name: string) => `remembered\n${name}`;

/** What adapters remember in the journal, apart from their own files: shared by all instances, written once, never changed. */
export function memoryIn(journal: Journal, signal: AbortSignal): Memory {
  return {
    async recall(name) {
      return (await journal.standing(keyOf(name), signal))?.standing.remembered;
    },
    async remember(name, text) {
      const entry = { mark: '', profiles: {}, unread: 0, silent: 0, unanswered: 0 };
      // What another instance has written first stays.
      await journal.writeStanding(keyOf(name), { ...entry, remembered: text }, 0, signal);
    },
  };
}
