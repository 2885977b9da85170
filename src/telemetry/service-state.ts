import type { Authority } from '../issue/authority.ts';
import type { Events } from './events.ts';
import type { PartState, Readiness } from './health.ts';

/** Unanswered calls to Google in a row after which it counts as out of reach. */
const googleFailuresToDown = 5;

/** Listens to what happens and says what /readyz shows. */
export class ServiceState {
  #state: Readiness['state'] = 'starting';
  #journal: PartState = { ready: true };
  #inbox: PartState = { ready: false, detail: 'not connected yet' };
  #google: PartState = { ready: true };
  #googleFailures = 0;

  constructor(events: Events) {
    events.on('service', ({ state }) => {
      this.#state = state;
    });
    events.on('journal', ({ up, problem }) => {
      this.#journal = partState(up, problem);
    });
    events.on('inbox', ({ up, problem }) => {
      this.#inbox = partState(up, problem);
    });
    events.on('googleRequest', ({ status }) => this.#heard(status));
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
      google: this.#google,
      authorities: parts,
    };
  }

  #heard(status: number | 'error'): void {
    const isFailure = status === 'error' || status >= 500 || status === 401 || status === 403;
    this.#googleFailures = isFailure ? this.#googleFailures + 1 : 0;
    const detail = status === 'error' ? 'Google does not answer' : `Google answers ${status}`;
    this.#google = partState(this.#googleFailures < googleFailuresToDown, detail);
  }
}

function partState(ready: boolean, detail: string | undefined): PartState {
  return ready || detail === undefined ? { ready } : { ready, detail };
}
