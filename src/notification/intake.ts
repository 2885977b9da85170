import { createHash } from 'node:crypto';
import type { Events } from '../events/events.ts';
import type { Journal, Notification } from '../journal/journal.ts';
import type { Clock } from '../time/clock.ts';
import { messageOf } from '../words/message-of.ts';
import type { Delivery, Inbox } from './inbox.ts';
import { decodeNotification, UnreadableNotificationError } from './notification.ts';

export interface IntakeOptions {
  readonly inbox: Inbox;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly events: Events;
  /** A process that was not known before is due now. */
  onOpened(): void;
}

/** A message that could not be written down goes back to the queue after this pause. */
const unwrittenPauseMs = 2_000;

/**
 * Takes notifications: they are written to the journal first, and acknowledged second. What cannot be written is
 * given back; what cannot be read is reported once and acknowledged. The inbox bounds how many are in hand at once.
 */
export class Intake {
  readonly #options: IntakeOptions;
  readonly #inHand = new Set<Promise<void>>();

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /** Runs until the signal is aborted; what is then in hand goes on, see {@link settled}. */
  async run(signal: AbortSignal): Promise<void> {
    for await (const delivery of this.#options.inbox.deliveries(signal)) {
      const intake = this.#take(delivery, signal).finally(() => this.#inHand.delete(intake));
      this.#inHand.add(intake);
    }
  }

  /** Resolves when everything that was in hand is acknowledged or given back. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#inHand);
  }

  async #take(delivery: Delivery, signal: AbortSignal): Promise<void> {
    const { journal, clock, events, onOpened } = this.#options;
    const notification = this.#decode(delivery);
    if (notification === undefined) return delivery.acknowledge();
    const { processId } = notification;
    try {
      // Not aborted by the stop: a write that has begun is worth finishing.
      const result = await journal.open(notification, new AbortController().signal);
      delivery.acknowledge();
      events.emit('notification', { result, processId });
      if (result === 'opened') onOpened();
    } catch (error) {
      const problem = messageOf(error);
      events.emit('notification', { result: 'unwritten', processId, problem });
      // Held back for a moment; otherwise the queue would deliver it again at once, and again. An abort ends the
      // pause.
      await clock.sleep(unwrittenPauseMs, signal).catch(() => undefined);
      delivery.release();
    }
  }

  #decode({ body }: Delivery): Notification | undefined {
    const { events } = this.#options;
    try {
      return decodeNotification(body);
    } catch (error) {
      const isUnreadable = error instanceof UnreadableNotificationError;
      if (!isUnreadable) events.emit('bug', { error });
      events.emit('notification', {
        result: 'unreadable',
        bytes: body.length,
        sha256: createHash('sha256').update(body).digest('hex'),
        problem: isUnreadable ? error.message : 'The decoder failed.',
      });
      return undefined;
    }
  }
}
