import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../src/time/clock.ts';
import { encodePem } from '../../src/x509/pem.ts';
import type { Signer } from './certificate.ts';
import { writeDurably } from './durable-file.ts';
import type { Ledger } from './ledger.ts';
import { signRevocationList } from './revocation-list.ts';

/** How long a CRL is good, and after how long it is made anew. */
const lifeMs = 7 * 24 * 3_600_000;
const renewalMs = lifeMs / 2;

export interface PublishedListParts {
  readonly directory: string;
  readonly ledger: Ledger;
  readonly clock: Clock;
  /** The CA's; throws while it cannot sign. */
  readonly signer: () => Signer;
}

/** The CA's CRL in `crl.pem`, kept fresh until it is disposed of. */
export class PublishedList implements AsyncDisposable {
  readonly #parts: PublishedListParts;
  readonly #file: string;
  readonly #closing = new AbortController();
  #renewal: Promise<void> | undefined;
  #problem: unknown;

  constructor(parts: PublishedListParts) {
    this.#parts = parts;
    this.#file = join(parts.directory, 'crl.pem');
  }

  /** Publishes it; unless it is disposed of, also when that fails, it is tried again. */
  begin(): void {
    this.#renewal = this.#keepFresh();
    try {
      this.#publishAlone();
    } catch (error) {
      this.#problem = error;
      throw error;
    }
  }

  /** Inside a transaction of the ledger, so that lists appear in the order of their numbers. */
  publish(signer: Signer): void {
    const { ledger, clock } = this.#parts;
    const now = clock.now();
    const list = signRevocationList(
      {
        number: ledger.nextRevocationListNumber(now),
        thisUpdate: now,
        nextUpdate: now + lifeMs,
        revoked: ledger.revoked(now - lifeMs),
      },
      signer,
    );
    writeDurably(this.#file, encodePem('X509 CRL', list), 0o644);
  }

  publishIfGone(): void {
    if (!existsSync(this.#file)) this.#publishAlone();
  }

  /** Throws what went wrong when it was last to be renewed, and does so again. */
  throwProblem(): void {
    if (this.#problem !== undefined) this.#renew();
    if (this.#problem !== undefined) throw this.#problem;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#renewal;
  }

  #publishAlone(): void {
    const { ledger, signer } = this.#parts;
    const current = signer();
    ledger.exclusively(() => this.publish(current));
  }

  /** What fails is shown by {@link throwProblem} and tried again. */
  async #keepFresh(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const interrupted = await this.#parts.clock.sleep(renewalMs / 12, signal).then(
        () => false,
        () => true, // Closed.
      );
      if (interrupted) return;
      this.#renew();
    }
  }

  #renew(): void {
    const { ledger, clock, signer } = this.#parts;
    try {
      const current = signer();
      ledger.exclusively(() => {
        const age = clock.now() - ledger.revocationListIssuedAt();
        if (age >= renewalMs) this.publish(current);
      });
      this.#problem = undefined;
    } catch (error) {
      this.#problem = error;
    }
  }
}
