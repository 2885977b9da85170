import { AsyncLocalStorage } from 'node:async_hooks';
import { closeSync, openSync } from 'node:fs';
import type { Decorate } from '../../src/command/service-context.ts';
import type { ProvisioningApi } from '../../src/google/provisioning-api.ts';
import type { Journal, LeasedEntry } from '../../src/journal/journal.ts';
import { type StepContext, stateOf, steps } from '../../src/lifecycle/lifecycle.ts';
import type { Delivery, Inbox } from '../../src/notification/inbox.ts';
import type { CertificateAuthority } from '../../src/plug-in/certificate-authority.ts';
import { isMethod, type Moment, type Port, pointName, type Where } from './points.ts';
import type { Trail } from './trail.ts';

/** Dies at the first of these points that it passes, unless another instance used the token up. */
export interface Armed {
  readonly points: readonly string[];
  /** A file that does not exist: the instance that makes it dies. */
  readonly token: string;
}

/** Puts a point before and after each call of each port, and dies at those that are armed. */
export class CrashPoints implements Decorate {
  readonly #trail: Trail;
  readonly #passed = new Set<string>();
  readonly #step = new AsyncLocalStorage<StepContext>();
  readonly #lastStates = new Map<string, StepContext['state']>();
  #armed: ReadonlySet<string> = new Set();
  #token = '';

  constructor(trail: Trail) {
    this.#trail = trail;
    steps.start.bindStore(this.#step, (context) => {
      this.#lastStates.set(context.processId, context.state);
      return context;
    });
  }

  arm({ points, token }: Armed): void {
    this.#armed = new Set(points);
    this.#token = token;
  }

  journal(journal: Journal): Journal {
    return this.#around('journal', journal, {
      whereOf: (method, args) => this.#writtenStage(method, args),
      begun: (method, args) => this.#announce(method, args),
      done: (method, args, result) => this.#note(method, args, result),
    });
  }

  api(api: ProvisioningApi): ProvisioningApi {
    return this.#around('api', api);
  }

  authority(adapter: CertificateAuthority): CertificateAuthority {
    return this.#around('authority', adapter);
  }

  inbox(inbox: Inbox): Inbox {
    const wrap = (delivery: Delivery) => this.#around('delivery', delivery);
    return {
      async *deliveries(signal) {
        for await (const delivery of inbox.deliveries(signal)) yield wrap(delivery);
      },
      [Symbol.asyncDispose]: () => inbox[Symbol.asyncDispose](),
    };
  }

  /**
   * What the last write of a visit writes belongs to the state that its record says; a closed record is only
   * an inventory, so that one belongs to the state of the last step.
   */
  #writtenStage(method: string, args: readonly unknown[]): Where {
    const step = this.#step.getStore()?.state;
    if (step !== undefined || (method !== 'save' && method !== 'close')) return step ?? 'loops';
    const [{ processId }, change] = args as Parameters<Journal['save']>;
    const last = this.#lastStates.get(processId);
    return method === 'close' && last !== undefined ? last : stateOf(change.record);
  }

  #announce(method: string, args: readonly unknown[]): void {
    if (method !== 'save') return;
    const [{ processId }, { dueAt }] = args as Parameters<Journal['save']>;
    if (dueAt !== undefined) this.#trail.writeResting(processId, dueAt);
  }

  #note(method: string, args: readonly unknown[], result: unknown): void {
    if (method === 'takeDue') {
      for (const { processId } of result as readonly LeasedEntry[]) {
        this.#trail.write('take', processId);
      }
      return;
    }
    if (method !== 'save' && method !== 'close') return;
    const [{ processId }, change] = args as Parameters<Journal['save']>;
    if (method === 'close') this.#trail.write('close', processId);
    else if (change.dueAt !== undefined) this.#trail.write('rest', processId);
  }

  #around<Target extends object>(port: Port, target: Target, watch: Watch = {}): Target {
    const whereOf = watch.whereOf ?? (() => this.#step.getStore()?.state ?? 'loops');
    return new Proxy(target, {
      get: (_target, key) => {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== 'function') return value;
        const call = (args: readonly unknown[]): unknown => Reflect.apply(value, target, args);
        if (typeof key === 'symbol' || !isMethod(port, key)) {
          return (...args: readonly unknown[]) => call(args);
        }
        return (...args: readonly unknown[]) => {
          const where = whereOf(key, args);
          const pass = (moment: Moment) => this.#pass(pointName(where, port, key, moment));
          const after = (result: unknown): unknown => {
            watch.done?.(key, args, result);
            pass('after');
            return result;
          };
          pass('before');
          watch.begun?.(key, args);
          const result = call(args);
          return result instanceof Promise ? result.then(after) : after(result);
        };
      },
    });
  }

  #pass(point: string): void {
    if (!this.#passed.has(point)) {
      this.#passed.add(point);
      this.#trail.write('pass', point);
    }
    if (!this.#armed.has(point) || !isFirst(this.#token)) return;
    this.#trail.write('die', point);
    process.kill(process.pid, 'SIGKILL');
    // The signal ends this process before it could return from here; never go on if it should not.
    for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_000);
  }
}

interface Watch {
  readonly whereOf?: (method: string, args: readonly unknown[]) => Where;
  readonly begun?: (method: string, args: readonly unknown[]) => void;
  readonly done?: (method: string, args: readonly unknown[], result: unknown) => void;
}

function isFirst(token: string): boolean {
  try {
    closeSync(openSync(token, 'wx'));
    return true;
  } catch {
    return false; // Another instance died for this round.
  }
}
