import type { LedgerEntry } from './ca.ts';
import type { Life } from './scheduler.ts';
import type { World } from './world.ts';

/** Five seconds are allowed, a Date has whole ones, and its answer may be long under way. */
const clockToleranceMs = 20_000;
/** The deadline less what each absence may count for, a rest of five minutes and ten more. */
const leastWatchMs = 22 * 3_600_000;

/** Something that must never happen, and did. */
export interface Breach {
  readonly invariant: string;
  readonly detail: string;
}

/** What an observer writes down while a history runs, and what he says about it afterwards. */
export class Observer {
  readonly breaches: Breach[] = [];
  /** Surplus certificates of the documented window, by why nobody could write them down. */
  readonly surplus = new Map<string, number>();
  readonly #world: World;
  readonly #noted = new Set<string>();
  readonly #intended = new Set<string>();

  constructor(world: World) {
    this.#world = world;
    world.journal.onWrite = (processId, record) => {
      if (record.order !== undefined) this.#intended.add(record.order.requestId);
      if (record.issued !== undefined) this.#noted.add(`${processId} ${record.issued.certificate}`);
    };
    world.google.onUpload = (processId, pem) => this.#checkUpload(processId, pem);
    for (const ca of world.cas.values()) {
      ca.onOrder = ({ processId, requestId }, life) => {
        this.#checkClock(processId, life);
        // An instance that stood still after it wrote it down may be late.
        if (!this.#intended.has(requestId)) {
          this.#breach('ordered before the intention was written', processId);
        }
      };
    }
  }

  /** Checks what must hold when a history has come to rest. */
  finish(): readonly Breach[] {
    const { journal, google, inbox, lostMessages } = this.#world;
    for (const processId of lostMessages) this.#breach('acknowledged before written', processId);
    for (const error of google.errors) this.#breach('the world failed', String(error));
    for (const { error } of this.#world.heardOf('bug')) {
      this.#breach(
        'a bug',
        error instanceof Error ? (error.stack ?? error.message) : String(error),
      );
    }
    if (!inbox.isEmpty) this.#breach('a message is still in the queue', '');
    for (const process of google.processes.values()) {
      const { id, carriedOut } = process;
      if (carriedOut.signData > 1) this.#breach('signData carried out twice', id);
      const kept = journal.kept.get(id);
      const announced = inbox.messages.some(({ processId }) => processId === id);
      if (announced && kept === undefined) this.#breach('lost: not in the journal', id);
      else if (kept !== undefined && kept.closing === undefined) {
        this.#breach('did not end', `${id} ${JSON.stringify(kept.record).slice(0, 1_500)}`);
      } else if (kept?.closing !== undefined) this.#checkEnd(id, kept.closing.outcome);
    }
    return this.breaches;
  }

  #checkEnd(id: string, outcome: string): void {
    const { google } = this.#world;
    const process = google.processes.get(id);
    if (process === undefined) return;
    this.#checkTimeout(id);
    const { certificatePem, failureMessage, gone, claimedBy } = process;
    const uploaded = certificatePem === undefined ? undefined : derOf(certificatePem);
    const rightly =
      (outcome === 'delivered' && uploaded !== undefined) ||
      (outcome === 'refused' && (failureMessage !== undefined || gone)) ||
      (outcome === 'gone' && (gone || failureMessage !== undefined)) ||
      (outcome === 'yielded' && claimedBy === 'rival');
    if (!rightly) {
      this.#breach(`ended as ${outcome} without a reason`, `${id} claimed by ${claimedBy}`);
    }
    const entries = [...this.#world.cas.values()].flatMap((ca) =>
      ca.ledger.filter((entry) => entry.processId === id),
    );
    const living = entries.filter(({ revokedAt }) => revokedAt === undefined);
    if (outcome === 'delivered') {
      const delivered = entries.find(({ base64 }) => base64 === uploaded);
      if (delivered === undefined) this.#breach('uploaded what no CA issued', id);
      else if (delivered.revokedAt !== undefined) this.#breach('the delivered one is revoked', id);
    }
    for (const entry of living) {
      if (entry.base64 === uploaded) continue;
      this.#checkSurplus(entry, outcome);
    }
  }

  /** An order is dated, by the CA or by what is sent to it. A machine that stood still is late by that much. */
  #checkClock(processId: string, life: Life): void {
    const { instances, now } = this.#world;
    const clock = instances.find((instance) => instance.life === life)?.clock;
    const aheadMs = (clock?.now() ?? now) - now;
    if (aheadMs <= clockToleranceMs && aheadMs >= -clockToleranceMs - life.frozenMs) return;
    this.#breach('ordered by a wrong clock', `${processId} of ${life.name}, ${aheadMs} ms ahead`);
  }

  /** A device is refused for its silence only after a day in which somebody was there to look. */
  #checkTimeout(id: string): void {
    const asked = this.#world.google.processes.get(id)?.operationStartedAtMs;
    const { closing, closedAt = 0 } = this.#world.journal.kept.get(id) ?? {};
    if (closing?.code !== 'signing-timeout' || asked === undefined) return;
    const watchedMs = this.#world.watchedMs(asked, closedAt);
    if (watchedMs < leastWatchMs) {
      this.#breach('refused before its time', `${id} after ${watchedMs / 3_600_000} hours`);
    }
  }

  /** A certificate that stays valid and that the device does not have. */
  #checkSurplus(entry: LedgerEntry, outcome: string): void {
    const { processId, base64, life, answerLost } = entry;
    const noted = this.#noted.has(`${processId} ${base64}`);
    const orphans = this.#world.heardOf('orphan');
    const reported = orphans.some((orphan) => orphan.processId === processId && !orphan.revoked);
    const unwritten = this.#world.journal.failed.has(`${life.name} ${processId}`);
    const excuse =
      noted || entry.again
        ? undefined
        : (life.dead && 'its instance died') ||
          (answerLost && 'the answer was lost') ||
          (unwritten && 'the journal failed');
    const allowed = excuse || (reported && 'reported');
    if (allowed) this.surplus.set(allowed, (this.surplus.get(allowed) ?? 0) + 1);
    else {
      const what = noted ? 'that was written down' : 'never written down';
      this.#breach(`a surplus certificate ${what}`, `${processId} of ${life.name}, ${outcome}`);
    }
  }

  #checkUpload(processId: string, pem: string): void {
    const base64 = derOf(pem);
    const kept = this.#world.journal.kept.get(processId)?.record.issued;
    if (kept?.certificate !== base64) this.#breach('uploaded before it was written', processId);
    const entries = [...this.#world.cas.values()].flatMap(({ ledger }) => ledger);
    const issued = entries.find((entry) => entry.base64 === base64);
    if (issued === undefined) this.#breach('uploaded what no CA issued', processId);
    else if (issued.cut !== 'good' && issued.cut !== 'with-chain') {
      this.#breach(`uploaded a certificate of the cut ${issued.cut}`, processId);
    } else if (issued.processId !== processId) this.#breach('uploaded another’s', processId);
  }

  #breach(invariant: string, detail: string): void {
    this.breaches.push({ invariant, detail });
  }
}

function derOf(pem: string): string {
  return pem.replace(/-----[A-Z ]+-----|\s/g, '');
}
