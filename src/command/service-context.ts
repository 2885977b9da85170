import type { Events } from '../events/events.ts';
import type { ProvisioningApi } from '../google/provisioning-api.ts';
import type { Journal } from '../journal/journal.ts';
import type { Inbox } from '../notification/inbox.ts';
import type { CertificateAuthority } from '../plug-in/certificate-authority.ts';
import type { Clock, Random } from '../time/clock.ts';

/** What a service runs in. */
export interface ServiceContext {
  readonly events: Events;
  /** The machine's; whether it can be relied on is found out here. */
  readonly clock: Clock;
  /** Milliseconds by a clock that nobody sets; the machine's own by default. */
  readonly monotonic?: () => number;
  readonly random: Random;
  /** Aborted when the service shall stop. */
  readonly signal: AbortSignal;
  /** Puts something around the ports: the crash campaign ends the process between two of their calls. */
  readonly decorate?: Decorate;
}

export interface Decorate {
  journal(journal: Journal): Journal;
  api(api: ProvisioningApi): ProvisioningApi;
  authority(adapter: CertificateAuthority): CertificateAuthority;
  inbox(inbox: Inbox): Inbox;
}
