import type { Fate, PortCall } from '../../simulator/world/wire.ts';
import type { World } from '../../simulator/world/world.ts';

/*
 * What becomes of the machines' clocks in a history: frozen machines, clocks that are set wrong while the service runs
 * or before it starts, clocks that differ a little, and a service that is down for a day. Its chances are its own, so
 * that the same seed has the same crashes and lost answers as before.
 */

type Chance = () => number;

export interface ClockTally {
  freezes: number;
  /** Clocks that were set while an instance ran, and that were wrong at its start. */
  sets: number;
  wrongStarts: number;
}

const hourMs = 3_600_000;
const errorsMs = [
  7_000,
  -60_000,
  60_000,
  hourMs,
  -hourMs,
  25 * hourMs,
  8_760 * hourMs,
  -8_760 * hourMs,
] as const;
const wrongForMs = [3_000, 60_000, 20 * 60_000, 2 * hourMs] as const;
const frozenForMs = [5_000, 31_000, 45_000, 120_000] as const;
const mendedAfterMs = [300, 5_000, 120_000, hourMs] as const;

export class Clocks {
  readonly tally: ClockTally = { freezes: 0, sets: 0, wrongStarts: 0 };
  /** Whether the one instance has a journal of its own, which goes by its clock. */
  readonly ownStore: boolean;
  readonly #chance: Chance;
  readonly #freeze: number;
  readonly #wrongStart: number;
  readonly #longAbsence: number;
  readonly #sets: number;
  #freezesLeft: number;

  constructor(chance: Chance) {
    this.#chance = chance;
    this.ownStore = chance() < 0.25;
    this.#freeze = this.#pick([0, 0.02, 0.08]);
    this.#freezesLeft = Math.floor(chance() * 5);
    this.#wrongStart = this.#pick([0, 0, 0.3]);
    this.#longAbsence = this.#pick([0, 0, 0.3]);
    this.#sets = Math.floor(chance() * 4) * this.#pick([0, 1]);
  }

  /** Sets clocks now and then in the first minutes. */
  begin(world: World): void {
    for (let count = 0; count < this.#sets; count += 1) {
      const errorMs = this.#pick(errorsMs);
      const forMs = this.#pick(wrongForMs);
      const who = this.#chance();
      world.scheduler.after(Math.floor(this.#chance() * 120_000), () => {
        const alive = world.instances.filter(({ life }) => !life.dead);
        const chosen = alive[Math.floor(who * alive.length)];
        if (chosen === undefined) return;
        this.tally.sets += 1;
        chosen.life.set(errorMs);
        world.scheduler.after(forMs, () => chosen.life.set(chosen.life.skewMs));
      });
    }
  }

  start(world: World): void {
    const skewMs = this.#pick([0, 0, -3_000, 3_000]);
    const isWrong = this.#chance() < this.#wrongStart;
    const errorMs = isWrong ? this.#pick(errorsMs) : skewMs;
    const forMs = this.#pick(wrongForMs);
    const { life } = world.start(undefined, errorMs);
    life.skewMs = skewMs;
    life.onFreeze = (frozenMs) => {
      this.tally.freezes += 1;
      // A time server tells a machine that stood still what time it is.
      const mendedMs = frozenMs + this.#pick(mendedAfterMs);
      world.scheduler.after(mendedMs, () => life.set(life.skewMs));
    };
    if (!isWrong) return;
    this.tally.wrongStarts += 1;
    world.scheduler.after(forMs, () => life.set(skewMs));
  }

  /** How much longer than usual nobody comes back after a death. */
  absenceMs(): number {
    return this.#chance() < this.#longAbsence ? 30 * hourMs : 0;
  }

  /** A device that never signs, to be refused after a day in which somebody looked, and not before. */
  isSilent(): boolean {
    return this.#chance() < (this.#longAbsence > 0 ? 0.1 : 0.02);
  }

  /** What else may happen at a call. */
  fateOf({ method }: PortCall): Fate {
    if (method === 'check' || this.#freezesLeft <= 0 || this.#chance() >= this.#freeze) return {};
    this.#freezesLeft -= 1;
    return { freeze: this.#pick(['before', 'after']), freezeMs: this.#pick(frozenForMs) };
  }

  #pick<const Values extends readonly [unknown, ...unknown[]]>(from: Values): Values[number] {
    return from[Math.floor(this.#chance() * from.length)] ?? from[0];
  }
}
