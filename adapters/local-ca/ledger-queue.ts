import { setImmediate } from 'node:timers/promises';
import type { Ledger, LedgerEntry } from './ledger.ts';

/** Certificates written in one transaction. */
const mostPerTransaction = 500;

interface Waiting {
  readonly entry: LedgerEntry;
  readonly signal: AbortSignal;
  readonly resolve: (certificate: Uint8Array) => void;
  readonly reject: (reason: unknown) => void;
}

/** Writes to the ledger what is ordered before the event loop comes round, or while the disk is busy, in one transaction. */
export class LedgerQueue {
  readonly #ledger: Ledger;
  readonly #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /**
   * Gives the certificate that the ledger has for the entry's request when it is on the disk: the entry's own, or an
   * earlier one. What is aborted before that is not written.
   */
  record(entry: LedgerEntry, signal: AbortSignal): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entry, signal, resolve, reject });
      this.#writing ??= this.#writeWaiting();
    });
  }

  /** Resolves when nothing is being written. */
  async idle(): Promise<void> {
    await this.#writing;
  }

  async #writeWaiting(): Promise<void> {
    await setImmediate();
    while (this.#waiting.length > 0) {
      await this.#write(this.#waiting.splice(0, mostPerTransaction));
    }
    this.#writing = undefined;
  }

  /** Never rejects. */
  async #write(waiting: readonly Waiting[]): Promise<void> {
    const wanted = waiting.filter(({ signal, reject }) => {
      if (signal.aborted) reject(signal.reason);
      return !signal.aborted;
    });
    if (wanted.length === 0) return;
    try {
      const certificates = await this.#ledger.record(wanted.map(({ entry }) => entry));
      for (const [index, { entry, resolve }] of wanted.entries()) {
        resolve(certificates[index] ?? entry.certificate);
      }
    } catch (error) {
      for (const { reject } of wanted) reject(error);
    }
  }
}
