import { ProvisioningError } from '../../src/errors.ts';
import type {
  AuthorityFeatures,
  CertificateAuthority,
  Issuance,
  IssueRequest,
} from '../../src/plug-in/certificate-authority.ts';
import type { Opaque } from '../../src/plug-in/opaque.ts';
import { authority, type Cut, certificate } from './certificates.ts';
import type { Life, Scheduler } from './scheduler.ts';
import type { Trouble, Wire } from './wire.ts';

/** One certificate in the CA's own book, which the worker never sees. */
export interface LedgerEntry {
  readonly processId: string;
  readonly requestId: string;
  readonly der: Uint8Array;
  readonly base64: string;
  readonly cut: Cut;
  /** The CA gives the same one again for the same order, so nobody need lose it. */
  readonly again: boolean;
  readonly at: number;
  /** Who ordered it, and what became of the answer. */
  readonly life: Life;
  answerLost: boolean;
  revokedAt: number | undefined;
}

/** What the CA decides about an order that it sees. */
export type Decision =
  | { readonly kind: 'issue'; readonly cut?: Cut }
  | { readonly kind: 'pending'; readonly pollAfterMs: number }
  | { readonly kind: 'reject' }
  | { readonly kind: 'fail'; readonly error: Error };

export interface WorldCaOptions {
  readonly scheduler: Scheduler;
  readonly wire: Wire;
  readonly idempotent: boolean;
  readonly revokes?: boolean;
  /** Which request for this order it is, counted from 1. */
  readonly decide?: (order: IssueRequest, turn: number) => Decision;
}

/** A CA that all instances of a world share, with a book of what it has issued. */
export class WorldCa {
  readonly ledger: LedgerEntry[] = [];
  /** When which call arrived. */
  readonly calls: { readonly at: number; readonly method: string }[] = [];
  readonly requests: IssueRequest[] = [];
  up = true;
  /** Called when an order arrives. */
  onOrder: (request: IssueRequest, life: Life) => void = () => undefined;
  readonly #options: WorldCaOptions;
  readonly #turns = new Map<string, number>();

  constructor(options: WorldCaOptions) {
    this.#options = options;
  }

  get root(): Uint8Array {
    return authority().der;
  }

  adapterOf(life: Life): CertificateAuthority {
    const { idempotent, revokes = true } = this.#options;
    const features: AuthorityFeatures = {
      idempotent,
      pending: true,
      revoke: revokes,
      keyTypes: ['rsa', 'ec'],
      mayDrop: [],
    };
    const ask = (request: IssueRequest, method: string, signal: AbortSignal) =>
      this.#send(life, method, request.processId, () => this.#ask(request, method, life), signal);
    return {
      kind: 'world',
      features,
      check: (signal) => this.#send(life, 'check', '', () => this.#arrive('check'), signal),
      issue: (request, signal) => ask(request, 'issue', signal),
      collect: (_ticket, request, signal) => ask(request, 'collect', signal),
      ...(revokes
        ? {
            revoke: (der: Uint8Array, _reason: string, signal: AbortSignal) =>
              this.#send(life, 'revoke', '', () => this.#revoke(der), signal),
          }
        : {}),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }

  #arrive(method: string): void {
    this.calls.push({ at: this.#options.scheduler.now(), method });
    if (!this.up) throw new ProvisioningError('ca-unavailable', 'The CA is down.');
  }

  #ask(request: IssueRequest, method: string, life: Life): Issuance {
    this.#arrive(method);
    if (method === 'issue') this.onOrder(request, life);
    this.requests.push(request);
    const turn = (this.#turns.get(request.requestId) ?? 0) + 1;
    this.#turns.set(request.requestId, turn);
    const { idempotent } = this.#options;
    const before = this.ledger.find(({ requestId }) => requestId === request.requestId);
    if (idempotent && before !== undefined) {
      before.answerLost = false;
      return issuance(before);
    }
    const decision = this.#options.decide?.(request, turn) ?? { kind: 'issue' };
    switch (decision.kind) {
      case 'issue':
        return issuance(this.#issue(request, decision.cut ?? 'good', life));
      case 'pending':
        return {
          kind: 'pending',
          ticket: { order: request.requestId } satisfies Opaque,
          pollAfterMs: decision.pollAfterMs,
        };
      case 'reject':
        return { kind: 'rejected', reason: 'The policy of this world.' };
      case 'fail':
        throw decision.error;
    }
  }

  #issue(request: IssueRequest, cut: Cut, life: Life): LedgerEntry {
    const number = this.ledger.filter(({ requestId }) => requestId === request.requestId).length;
    const der = certificate(request, cut, number);
    const entry: LedgerEntry = {
      processId: request.processId,
      requestId: request.requestId,
      der,
      base64: Buffer.from(der).toString('base64'),
      cut,
      again: this.#options.idempotent,
      at: this.#options.scheduler.now(),
      life,
      answerLost: false,
      revokedAt: undefined,
    };
    this.ledger.push(entry);
    return entry;
  }

  #revoke(der: Uint8Array): void {
    this.#arrive('revoke');
    const base64 = Buffer.from(der).toString('base64');
    for (const entry of this.ledger) {
      if (entry.base64 === base64) entry.revokedAt ??= this.#options.scheduler.now();
    }
  }

  #send<Result>(
    life: Life,
    method: string,
    processId: string,
    carryOut: () => Result,
    signal: AbortSignal,
  ): Promise<Result> {
    let over = false;
    // A call that was given up, at its deadline or because the visit ended, has no answer any more.
    let gaveUp = false;
    signal.addEventListener('abort', () => {
      gaveUp ||= !over;
      if (gaveUp) this.#lose(life, processId);
    });
    const sent = this.#options.wire.send(
      { life, port: 'ca', method, processId },
      {
        carryOut: () => {
          const result = carryOut();
          if (gaveUp) this.#lose(life, processId);
          return result;
        },
        problem: (trouble) => {
          if (trouble !== 'lost-request' && trouble !== 'fails') this.#lose(life, processId);
          if (trouble === 'late-request') gaveUp = true;
          return unavailable(trouble);
        },
      },
      signal,
    );
    const done = () => {
      over = true;
    };
    sent.then(done, done);
    return sent;
  }

  #lose(life: Life, processId: string): void {
    const last = this.ledger.findLast(
      (entry) => entry.life === life && entry.processId === processId,
    );
    if (last !== undefined) last.answerLost = true;
  }
}

function unavailable(trouble: Trouble): Error {
  return new ProvisioningError('ca-unavailable', `The CA's answer: ${trouble}.`);
}

function issuance({ der, cut }: LedgerEntry): Issuance {
  const { der: root } = authority();
  if (cut === 'chain-first') return { kind: 'issued', certificate: root, chain: [der] };
  return { kind: 'issued', certificate: der, chain: cut === 'with-chain' ? [root] : [] };
}
