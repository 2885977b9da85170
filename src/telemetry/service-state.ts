import type { Authority } from '../authority/authority.ts';
import type { Events } from '../events/events.ts';
import { scrub } from '../words/scrub.ts';
import type { PartState, Readiness } from './health.ts';

/** Calls in a row that Google did not answer, or not for anybody, after which it counts as out of reach. */
const googleFailuresToDown = 5;

/** How many references in no table are shown. */
const mostWarnings = 100;

/** Listens to what happens and says what /readyz shows. */
export class ServiceState {
  #state: Readiness['state'] = 'starting';
  #journal: PartState = { ready: true };
  #inbox: PartState = { ready: false, detail: 'not connected yet' };
  #clock: PartState = { ready: false, detail: 'nobody has confirmed it yet' };
  #google: PartState = { ready: true };
  #token: PartState = { ready: true };
  #googleFailures = 0;

  /** References in no table, with what is said of them and when it was last said. */
  readonly #unmatched = new Map<string, { readonly message: string; readonly at: number }>();
  readonly #now: () => number;

  constructor(events: Events, now: () => number = () => performance.now()) {
    this.#now = now;
    events.on('unmatched', ({ reference, message }) => {
      if (!this.#unmatched.has(reference) && this.#unmatched.size >= mostWarnings) return;
      this.#unmatched.set(reference, { message, at: now() });
    });
    events.on('service', ({ state }) => {
      this.#state = state;
    });
    events.on('journal', ({ up, problem }) => {
      this.#journal = partState(up, problem);
    });
    events.on('inbox', ({ up, problem }) => {
      this.#inbox = partState(up, problem);
    });
    events.on('googleToken', ({ up, problem }) => {
      this.#token = partState(up, problem === undefined ? undefined : scrub(problem));
    });
    events.on('clock', ({ right, problem }) => {
      this.#clock = partState(right, problem);
    });
    events.on('googleRequest', ({ status, problem }) => {
      // A call that we gave up ourselves says nothing about Google.
      if (status !== 'error' || problem !== undefined) this.#heard(problem);
    });
  }

  readiness(authorities: ReadonlyMap<string, Authority>): Readiness {
    const parts = new Map<string, PartState>();
    for (const [reference, { problem }] of authorities) {
      parts.set(reference, partState(problem === undefined, problem?.message));
    }
    return {
      state: this.#state,
      journal: this.#journal,
      inbox: this.#inbox,
      clock: this.#clock,
      google: this.#token.ready ? this.#google : this.#token,
      authorities: parts,
      ...this.#warnings(),
    };
  }

  #warnings(): { readonly warnings?: readonly string[] } {
    // A held process is looked at every hour: what was not seen for longer is over.
    for (const [reference, { at }] of this.#unmatched) {
      if (this.#now() - at > 2 * 3_600_000) this.#unmatched.delete(reference);
    }
    const warnings = [...this.#unmatched.values()].map(({ message }) => message);
    return warnings.length === 0 ? {} : { warnings };
  }

  /** One failed call says little; it is shown at once all the same. */
  #heard(problem: string | undefined): void {
    this.#googleFailures = problem === undefined ? 0 : this.#googleFailures + 1;
    const ready = this.#googleFailures < googleFailuresToDown;
    this.#google = problem === undefined ? { ready } : { ready, detail: scrub(problem) };
  }
}

function partState(ready: boolean, detail: string | undefined): PartState {
  return ready || detail === undefined ? { ready } : { ready, detail };
}
