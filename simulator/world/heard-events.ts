import { type EventMap, Events } from '../../src/events/events.ts';
import type { Life } from './scheduler.ts';

const names = [
  'bug',
  'orphan',
  'trouble',
  'journal',
  'authority',
  'closed',
  'unmatched',
  'unsigned',
  'notification',
] as const;

/** What the instances of a world told of while they lived. */
export class HeardEvents {
  readonly #heard: { readonly name: keyof EventMap; readonly data: unknown }[] = [];

  /** Events for one instance, to which the world listens. */
  eventsOf(life: Life): Events {
    const events = new Events();
    for (const name of names) {
      events.on(name, (data: unknown) => {
        if (!life.dead) this.#heard.push({ name, data });
      });
    }
    return events;
  }

  of<Name extends keyof EventMap>(name: Name): EventMap[Name][] {
    return this.#heard.filter((one) => one.name === name).map(({ data }) => data as EventMap[Name]);
  }
}
