import { randomUUID } from 'node:crypto';
import type { Client } from 'pg';
import { type Backoff, backoffMs } from '../time/retry.ts';
import type { PostgresClients } from './postgres-client.ts';
import type { PostgresPool } from './postgres-pool.ts';

const channel = 'certprov_journal';

/** At most one notification in this time: NOTIFY makes commits wait for each other. */
const pauseMs = 100;

const longestTimerMs = 2 ** 31 - 1;
const reconnectBackoff: Backoff = { firstMs: 1_000, mostMs: 30_000 };

/**
 * Tells the other instances when an entry of ours becomes due, and hears the same from them. All of it is a
 * hint: what goes wrong here costs a wait until the next poll, so nothing here fails aloud. A notification's
 * payload is `<origin> <in how many ms>`, free of anybody's clock.
 */
export class PostgresWake {
  readonly #pool: PostgresPool;
  readonly #clients: PostgresClients;
  readonly #origin = randomUUID();
  readonly #listeners: (() => void)[] = [];
  #listening: Client | undefined;
  #attempts = 0;
  #reconnectTimer: NodeJS.Timeout | undefined;
  /** The earliest due time not yet told, by performance.now(). */
  #untold: number | undefined;
  #tellTimer: NodeJS.Timeout | undefined;
  #wakeTimer: NodeJS.Timeout | undefined;
  #wakeAt = Number.POSITIVE_INFINITY;
  #closed = false;

  constructor(pool: PostgresPool, clients: PostgresClients) {
    this.#pool = pool;
    this.#clients = clients;
  }

  /** The first listener opens the connection that listens. */
  onWake(listener: () => void): void {
    this.#listeners.push(listener);
    if (this.#listeners.length === 1) void this.#listen();
  }

  /** An entry was written that is due in so many milliseconds. */
  tell(dueInMs: number): void {
    const at = performance.now() + Math.max(0, dueInMs);
    this.#untold = Math.min(this.#untold ?? at, at);
    if (this.#tellTimer === undefined && !this.#closed) this.#send();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#tellTimer);
    clearTimeout(this.#wakeTimer);
    clearTimeout(this.#reconnectTimer);
    await this.#listening?.end().catch(ignoreHint);
  }

  #send(): void {
    const at = this.#untold;
    this.#tellTimer = undefined;
    if (at === undefined) return;
    this.#untold = undefined;
    this.#tellTimer = setTimeout(() => this.#send(), pauseMs);
    this.#tellTimer.unref();
    const dueInMs = Math.max(0, Math.ceil(at - performance.now()));
    const payload = `${this.#origin} ${dueInMs}`;
    this.#pool.query('notify', 'SELECT pg_notify($1, $2)', [channel, payload]).catch(ignoreHint);
  }

  async #listen(): Promise<void> {
    if (this.#closed) return;
    const client = new this.#clients();
    this.#listening = client;
    const lost = (): void => this.#reconnect(client);
    client.on('error', lost);
    client.on('end', lost);
    client.on('notification', ({ payload }) => this.#heard(payload ?? ''));
    try {
      await client.connect();
      await client.query(`LISTEN ${channel}`);
      // What was told while nobody listened.
      if (this.#attempts > 0) this.#wake();
      this.#attempts = 0;
    } catch {
      // The database's trouble is told by the calls that need an answer.
      lost();
    }
  }

  #reconnect(lost: Client): void {
    if (this.#closed || this.#listening !== lost) return;
    this.#listening = undefined;
    lost.end().catch(ignoreHint);
    const restMs = backoffMs(reconnectBackoff, this.#attempts, Math.random);
    this.#attempts += 1;
    this.#reconnectTimer = setTimeout(() => void this.#listen(), restMs);
    this.#reconnectTimer.unref();
  }

  #heard(payload: string): void {
    const [origin, dueInMs = ''] = payload.split(' ');
    if (origin === this.#origin || !/^\d{1,15}$/.test(dueInMs)) return;
    const at = performance.now() + Number(dueInMs);
    // One timer is enough: who is woken asks the journal for the next due time himself.
    if (at >= this.#wakeAt) return;
    clearTimeout(this.#wakeTimer);
    this.#wakeAt = at;
    const restMs = Math.min(Number(dueInMs), longestTimerMs);
    this.#wakeTimer = setTimeout(() => this.#wake(), restMs);
    this.#wakeTimer.unref();
  }

  #wake(): void {
    this.#wakeAt = Number.POSITIVE_INFINITY;
    for (const listener of this.#listeners) listener();
  }
}

/** A notification that is lost costs a wait until the next poll, no more. */
function ignoreHint(): undefined {
  return undefined;
}
