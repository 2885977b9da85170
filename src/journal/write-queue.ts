import { JournalError } from './journal.ts';

export interface WriteQueueOptions<Write> {
  /** Writes that may wait; more are refused with a {@link JournalError}. */
  readonly mostWaiting: number;
  /** Writes that share one commit. */
  readonly mostAtOnce: number;
  /**
   * After a commit that took t ms, the next one waits for `restFactor` × t ms (20 at most), so that more
   * writes share it: a commit costs the same for one and for many. A queue that was idle for that long
   * commits in the same turn.
   */
  readonly restFactor: number;
  /**
   * Makes all writes durable together. Answers the writes that failed alone, each with its error; when it
   * throws, none of them is known to be written, and every one fails with what it threw.
   */
  commit(writes: readonly Write[]): Promise<ReadonlyMap<Write, unknown>>;
}

interface Waiting<Write> {
  readonly write: Write;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const longestRestMs = 20;

/**
 * Group commit: writes that arrive while another commit is under way, or in the same turn, share the next
 * one and its fsync. One commit at a time, in the order of arrival.
 */
export class WriteQueue<Write> {
  readonly #options: WriteQueueOptions<Write>;
  #waiting: Waiting<Write>[] = [];
  #state: 'idle' | 'scheduled' | 'committing' = 'idle';
  #restUntil = 0;
  #closed = false;
  #whenIdle: (() => void)[] = [];

  constructor(options: WriteQueueOptions<Write>) {
    this.#options = options;
  }

  /** Resolves when the write is durable. An aborted signal keeps it out; once it is in, it is written. */
  async add(write: Write, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#closed) throw new JournalError('The journal is closed: nothing can be written.');
    if (this.#waiting.length >= this.#options.mostWaiting) {
      throw new JournalError(
        `${this.#waiting.length} writes are waiting for the journal, which is the limit: ` +
          'its disk or server is too slow for the load. Lower limits.visits or give it a faster one.',
      );
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push({ write, resolve, reject });
    if (this.#state === 'idle') this.#schedule();
    return promise;
  }

  /** Takes no more, and resolves when everything that was taken is written or has failed. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#state === 'idle') return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#whenIdle.push(resolve);
    await promise;
  }

  #schedule(): void {
    this.#state = 'scheduled';
    const restMs = this.#restUntil - performance.now();
    const full = this.#waiting.length >= this.#options.mostAtOnce;
    if (restMs > 0 && !full && !this.#closed) setTimeout(() => void this.#flush(), restMs);
    else setImmediate(() => void this.#flush());
  }

  async #flush(): Promise<void> {
    this.#state = 'committing';
    const batch = this.#waiting.splice(0, this.#options.mostAtOnce);
    const startedAt = performance.now();
    await this.#commit(batch);
    const endedAt = performance.now();
    const restMs = Math.min(longestRestMs, (endedAt - startedAt) * this.#options.restFactor);
    this.#restUntil = endedAt + restMs;
    if (this.#waiting.length > 0) {
      this.#schedule();
    } else {
      this.#state = 'idle';
      for (const resolve of this.#whenIdle.splice(0)) resolve();
    }
  }

  async #commit(batch: readonly Waiting<Write>[]): Promise<void> {
    try {
      const failed = await this.#options.commit(batch.map(({ write }) => write));
      for (const { write, resolve, reject } of batch) {
        if (failed.has(write)) reject(failed.get(write));
        else resolve();
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
}
