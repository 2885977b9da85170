/** One message as it lay in the queue. */
export interface Delivery {
  /** The message's data, undecoded. */
  readonly body: Uint8Array;
  /** How often the queue has delivered it, from 1 (the queue's own count, 1 when it does not say). */
  readonly attempt: number;
  /** The message is written down: the queue may forget it. Never throws. */
  acknowledge(): void;
  /** The message could not be written down: the queue should deliver it again. Never throws. */
  release(): void;
}

/** Where notifications arrive. An implementation bounds how many deliveries are out at once. */
export interface Inbox extends AsyncDisposable {
  /**
   * Deliveries until the signal is aborted; then it ends without an error. The queue delivers again what was neither
   * acknowledged nor released by then. Throws only what no waiting can cure.
   */
  deliveries(signal: AbortSignal): AsyncIterable<Delivery>;
}
