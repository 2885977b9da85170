import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceProcess } from '../support/service-process.ts';

const library = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1';

export const howToGetFaketime = 'apt-get install libfaketime';

export async function faketimeIsThere(): Promise<boolean> {
  return access(library).then(
    () => true,
    () => false,
  );
}

/** The clock of one service's machine: it can be set, and it can stand still with the machine. */
export class FakedClock implements AsyncDisposable {
  readonly #directory: string;
  readonly #mayFreeze: boolean;

  private constructor(directory: string, mayFreeze: boolean) {
    this.#directory = directory;
    this.#mayFreeze = mayFreeze;
  }

  /** One that may freeze shifts the monotonic clock as well, so it cannot be set. */
  static async make(aheadSeconds = 0, mayFreeze = false): Promise<FakedClock> {
    const clock = new FakedClock(await mkdtemp(join(tmpdir(), 'certprov-clock-')), mayFreeze);
    await clock.set(aheadSeconds);
    return clock;
  }

  get env(): Record<string, string> {
    return {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: join(this.#directory, 'offset'),
      FAKETIME_NO_CACHE: '1',
      ...(this.#mayFreeze ? {} : { FAKETIME_DONT_FAKE_MONOTONIC: '1' }),
    };
  }

  async set(aheadSeconds: number): Promise<void> {
    const sign = aheadSeconds < 0 ? '' : '+';
    await writeFile(join(this.#directory, 'offset'), `${sign}${aheadSeconds.toFixed(3)}\n`);
  }

  /** The machine is suspended: when it wakes both its clocks go on from where they stood. */
  async freeze(service: ServiceProcess, forMs: number): Promise<void> {
    const frozenAt = performance.now();
    service.signal('SIGSTOP');
    await sleep(forMs);
    // A little less than it was: no clock of a real machine goes back.
    await this.set(-(performance.now() - frozenAt - 20) / 1_000);
    service.signal('SIGCONT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }
}
