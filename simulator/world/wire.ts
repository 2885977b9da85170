import type { Life, Scheduler } from './scheduler.ts';

/** A call that an instance makes on one of its ports. */
export interface PortCall {
  readonly life: Life;
  readonly port: 'google' | 'ca' | 'journal';
  readonly method: string;
  readonly processId: string;
}

/** What becomes of a call. What is not said goes well and takes a few milliseconds. */
export interface Fate {
  /** Before the request leaves: a token, a budget, a busy machine. */
  readonly waitMs?: number;
  readonly requestMs?: number;
  readonly answerMs?: number;
  /** The instance dies before it sends, with the request on its way, or when the answer arrives. */
  readonly crash?: 'before' | 'sent' | 'after';
  /** The instance stands still, before it sends or when the answer arrives, for `stallMs`. */
  readonly stall?: 'before' | 'after';
  readonly stallMs?: number;
  /** Its machine is frozen, and the clocks with it, then; or as soon as what has to leave at once has left. */
  readonly freeze?: 'before' | 'after';
  readonly freezeMs?: number;
  /**
   * `lost-request` never arrives, `late-request` does after the caller has given up, and `lost-answer` was carried out, and the caller sees a broken
   * connection; `hangs` is never answered. `fails` is an error of the other side that did nothing,
   * `fails-after` one that was carried out.
   */
  readonly trouble?: Trouble;
  /** For Google's `fails`: its status; 503 unless said. */
  readonly status?: number;
}

export type Trouble =
  | 'lost-request'
  | 'late-request'
  | 'lost-answer'
  | 'hangs'
  | 'fails'
  | 'fails-after';

export type Fates = (call: PortCall) => Fate;

export interface WireOptions {
  readonly scheduler: Scheduler;
  readonly fates: Fates;
  /** Undefined: nobody reads along. */
  readonly trace?: ((line: string) => void) | undefined;
}

export interface Parcel<Result> {
  /** Awaited right before the request leaves the instance; rejecting, nothing leaves. */
  readonly leave?: () => Promise<void>;
  /** What the other side does; it happens even when the caller has died meanwhile. */
  readonly carryOut: () => Promise<Result> | Result;
  /** The error the caller sees when there is trouble. */
  readonly problem: (trouble: Trouble, status: number) => Error;
}

/** Carries calls from instances to the world and answers back. */
export class Wire {
  readonly #options: WireOptions;

  constructor(options: WireOptions) {
    this.#options = options;
  }

  send<Result>(call: PortCall, parcel: Parcel<Result>, signal?: AbortSignal): Promise<Result> {
    const { scheduler } = this.#options;
    const { life } = call;
    const fate = this.#options.fates(call);
    this.#tell(call, fate);
    return new Promise((fulfil, refuse) => {
      const resolve = (result: Result) => {
        signal?.removeEventListener('abort', giveUp);
        fulfil(result);
      };
      const reject = (error: unknown) => {
        signal?.removeEventListener('abort', giveUp);
        refuse(error);
      };
      const giveUp = () => scheduler.after(0, () => reject(signal?.reason), life);
      if (signal?.aborted) return void giveUp();
      signal?.addEventListener('abort', giveUp, { once: true });
      if (fate.crash === 'before') return life.die();
      if (fate.stall === 'before') this.#stall(life, fate);
      if (fate.freeze === 'before') life.freeze(fate.freezeMs ?? 60_000, scheduler.now());
      const waitMs = fate.waitMs ?? 0;
      const depart = () => {
        if (!signal?.aborted) this.#travel(call, fate, parcel, resolve, reject);
      };
      const leave = () => {
        if (signal?.aborted) return;
        if (parcel.leave === undefined) return depart();
        life.departing += 1;
        const departed = () => life.departed(scheduler.now());
        parcel.leave().then(depart, reject).finally(departed);
      };
      const waits = waitMs > 0 || fate.stall === 'before' || life.stalledUntil > scheduler.now();
      if (waits) scheduler.after(waitMs, leave, life);
      else leave();
    });
  }

  #travel<Result>(
    call: PortCall,
    fate: Fate,
    parcel: Parcel<Result>,
    resolve: (result: Result) => void,
    reject: (error: unknown) => void,
  ): void {
    const { scheduler } = this.#options;
    const { life } = call;
    const arrive = (act: () => void) => {
      scheduler.after(
        fate.answerMs ?? 3,
        () => {
          if (fate.crash === 'after') return life.die();
          if (fate.stall !== 'after' && fate.freeze !== 'after') return act();
          if (fate.stall === 'after') this.#stall(life, fate);
          else life.freeze(fate.freezeMs ?? 60_000, scheduler.now());
          scheduler.after(0, act, life);
        },
        life,
      );
    };
    const { trouble } = fate;
    const fail = (why: Trouble) =>
      arrive(() => reject(parcel.problem(why, fate.status ?? (why === 'fails' ? 503 : 500))));
    if (trouble === 'late-request') fail(trouble);
    scheduler.after(fate.requestMs ?? 3, () => {
      if (trouble === 'lost-request' || trouble === 'fails') return fail(trouble);
      // A store that is asked by many answers in its own time: the result is there when it is there.
      Promise.resolve()
        .then(parcel.carryOut)
        .then(
          (result) => {
            if (trouble === 'hangs') return void parcel.problem(trouble, 0);
            if (trouble === 'late-request') return;
            if (trouble !== undefined) return fail(trouble);
            arrive(() => resolve(result));
          },
          (error: unknown) => arrive(() => reject(error)),
        );
    });
    if (fate.crash === 'sent') life.die();
  }

  #stall(life: Life, fate: Fate): void {
    life.stalledUntil = this.#options.scheduler.now() + (fate.stallMs ?? 60_000);
  }

  #tell({ life, port, method, processId }: PortCall, fate: Fate): void {
    const { trace } = this.#options;
    if (trace === undefined) return;
    const what = Object.entries(fate).map(([name, value]) => `${name}=${value}`);
    trace(`${life.name} ${port}.${method} ${processId.slice(0, 6)} ${what.join(' ')}`);
  }
}
