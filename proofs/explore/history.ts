import type { DeviceSpecInput } from '../../simulator/device-spec.ts';
import type { FaultChanges } from '../../simulator/faults.ts';
import type { Decision } from '../../simulator/world/ca.ts';
import { type Breach, Observer } from '../../simulator/world/invariants.ts';
import type { Safeguard } from '../../simulator/world/safeguards.ts';
import { hourMs, seededRandom, startOfTime } from '../../simulator/world/scheduler.ts';
import type { Fate, PortCall } from '../../simulator/world/wire.ts';
import { World } from '../../simulator/world/world.ts';
import { Clocks, type ClockTally } from './clocks.ts';

/*
 * One history: a seed decides who there is, what the undocumented answers are, and what becomes of every call.
 * Trouble ends after a while, so a correct worker must end everything.
 */

export interface Tally {
  clocks: ClockTally;
  crashes: number;
  zombies: number;
  lostAnswers: number;
  failures: number;
  surplus: ReadonlyMap<string, number>;
  virtualMs: number;
  readonly outcomes: Map<string, number>;
  breaches: readonly Breach[];
}

type Chance = () => number;

interface Luck {
  readonly crash: number;
  readonly stall: number;
  readonly trouble: number;
  readonly slow: number;
  /** How much of it there may be in one history. */
  crashesLeft: number;
  stallsLeft: number;
  troublesLeft: number;
}

/** No history lasts longer than this. */
const longestMs = 6 * 24 * hourMs;
const replacementMs = [200, 5_000, 40_000] as const;

export async function runHistory(
  seed: number,
  without: Safeguard | undefined,
  trace?: (line: string) => void,
): Promise<Tally> {
  const chance = seededRandom(seed ^ 0x51ab_7e11);
  const aside = seededRandom(seed ^ 0x7a3e_c0de);
  const clocks = new Clocks(seededRandom(seed ^ 0x0c10_c4ed));
  const tally: Tally = {
    clocks: clocks.tally,
    crashes: 0,
    zombies: 0,
    lostAnswers: 0,
    failures: 0,
    surplus: new Map(),
    virtualMs: 0,
    outcomes: new Map(),
    breaches: [],
  };
  const luck = luckOf(chance);
  const { decide, isHopeless } = decisionsOf(chance);
  const world: World = new World({
    seed,
    without,
    trace,
    faults: switchesOf(chance),
    ackLost: pick(chance, [0, 0, 0.2]),
    ownStore: clocks.ownStore,
    // A chance of its own: what is written about the authority leaves the seeds of everything else as they were.
    fates: (call) => {
      const fate = fateOf(call, luck, call.method === 'writeStanding' ? aside : chance, tally);
      return { ...fate, ...clocks.fateOf(call) };
    },
    cas: {
      default_ca_config: { idempotent: chance() < 0.5, decide: (_order, turn) => decide(turn) },
    },
    // Until then one order a minute is tried, and nothing new is to be learnt from it.
    issuingHours: isHopeless ? 2 : 72,
  });
  const observer = new Observer(world);
  people(world, chance, clocks);
  const instances = 1 + Math.floor(chance() * 3);
  for (let count = 0; count < (clocks.ownStore ? 1 : instances); count += 1) clocks.start(world);
  clocks.begin(world);
  world.onDeath = () => {
    tally.crashes += 1;
    const afterMs = pick(chance, replacementMs) + clocks.absenceMs();
    world.scheduler.after(afterMs, () => clocks.start(world));
  };
  await world.untilClosed(longestMs);
  // What is still on its way may arrive, and an instance that stands still may wake.
  await world.until(
    () => world.instances.every(({ life }) => isAwake(life, world.now)),
    10 * 60_000,
  );
  await world.pass(90_000);
  // A message that comes late opens what had gone unclaimed once more.
  await world.untilClosed(longestMs);
  tally.virtualMs = world.now - startOfTime;
  tally.breaches = observer.finish();
  tally.surplus = observer.surplus;
  for (const { closing } of world.journal.kept.values()) {
    const name = closing === undefined ? 'open' : closing.outcome;
    tally.outcomes.set(name, (tally.outcomes.get(name) ?? 0) + 1);
  }
  world.end();
  return tally;
}

function isAwake(life: { readonly dead: boolean; readonly stalledUntil: number }, now: number) {
  return life.dead || life.stalledUntil <= now;
}

function pick<const Values extends readonly [unknown, ...unknown[]]>(
  chance: Chance,
  from: Values,
): Values[number] {
  return from[Math.floor(chance() * from.length)] ?? from[0];
}

function luckOf(chance: Chance): Luck {
  return {
    crash: pick(chance, [0, 0.02, 0.08]),
    stall: pick(chance, [0, 0.02, 0.08]),
    trouble: pick(chance, [0, 0.05, 0.2]),
    slow: pick(chance, [0, 0.05, 0.3]),
    crashesLeft: Math.floor(chance() * 5),
    stallsLeft: Math.floor(chance() * 4),
    troublesLeft: Math.floor(chance() * 12),
  };
}

function switchesOf(chance: Chance): FaultChanges {
  return {
    claimRepeated: pick(chance, [200, 400]),
    claimByOther: pick(chance, [400, 409]),
    signDataTwice: pick(chance, ['device-fails', 'same', 400]),
    uploadTwice: pick(chance, [400, 200]),
    callAfterEnd: pick(chance, [400, 404, 409]),
    wrongSignature: pick(chance, ['operation-error', 'passed-on']),
    wrongUpload: pick(chance, [400, 'process-fails', 200]),
    ecSignature: pick(chance, ['der', 'raw']),
    missedPush: pick(chance, [0, 0, 0, 0.5]),
  };
}

/** What the CA does with the nth request for an order. */
function decisionsOf(chance: Chance): {
  readonly decide: (turn: number) => Decision;
  readonly isHopeless: boolean;
} {
  const kind = chance();
  const patience = 1 + Math.floor(chance() * 4);
  const cut = pick(chance, ['other-key', 'is-ca', 'wrong-names', 'garbage'] as const);
  let bad = 1;
  // Some reject for a while, some for ever.
  const isHopeless = kind > 0.99;
  let rejections = isHopeless ? Number.POSITIVE_INFINITY : Math.ceil((kind - 0.96) * 300);
  const decide = (turn: number): Decision => {
    if (kind < 0.15 && turn <= patience) return { kind: 'pending', pollAfterMs: 20_000 };
    if (kind > 0.96 && rejections-- > 0) return { kind: 'reject' };
    if (kind > 0.9 && bad-- > 0) return { kind: 'issue', cut };
    return { kind: 'issue' };
  };
  return { decide, isHopeless };
}

function people(world: World, chance: Chance, clocks: Clocks): void {
  const count = 1 + Math.floor(chance() * 3);
  for (let index = 0; index < count; index += 1) {
    const spec: DeviceSpecInput = {
      signAfterMs: pick(chance, [50, 300, 2_000, 15_000, 120_000]),
      ...(chance() < 0.02 || clocks.isSilent() ? { signs: 'never' as const } : {}),
      ...(chance() < 0.03 ? { signs: 'wrong-key' as const } : {}),
    };
    const process = world.add(spec, 1 + Math.floor(chance() * 2), Math.floor(chance() * 5_000));
    const turn = chance();
    if (turn < 0.06) {
      const at = Math.floor(chance() * 60_000);
      world.scheduler.after(at, () => world.google.devices.forget(process));
    } else if (turn < 0.1) rival(world, process.id, Math.floor(chance() * 6_000));
  }
}

/** Another adapter that claims the process, and asks for a signature soon after. */
function rival(world: World, id: string, afterMs: number): void {
  world.scheduler.after(afterMs, () => {
    const answer = world.google.carryOut('claim', id, undefined, { callerInstanceId: 'rival' });
    if (answer.status !== 200) return;
    world.scheduler.after(2_000, () => {
      const process = world.google.processes.get(id);
      if (process === undefined || process.signData !== undefined) return;
      process.signData = 'cml2YWw=';
    });
  });
}

function fateOf(call: PortCall, luck: Luck, chance: Chance, tally: Tally): Fate {
  if (call.method === 'check') return {};
  const drawn = chance();
  let from = 0;
  const falls = (share: number) => {
    const before = from;
    from += share;
    return drawn >= before && drawn < from;
  };
  if (luck.crashesLeft > 0 && falls(luck.crash)) {
    luck.crashesLeft -= 1;
    return { crash: pick(chance, ['before', 'sent', 'after']), ...slowness(luck, chance) };
  }
  if (luck.stallsLeft > 0 && falls(luck.stall)) {
    luck.stallsLeft -= 1;
    tally.zombies += 1;
    const stallMs = pick(chance, [5_000, 31_000, 45_000, 120_000]);
    return { stall: pick(chance, ['before', 'after']), stallMs, ...slowness(luck, chance) };
  }
  if (luck.troublesLeft > 0 && falls(luck.trouble)) {
    luck.troublesLeft -= 1;
    return troubleOf(call, luck, chance, tally);
  }
  return slowness(luck, chance);
}

function troubleOf(call: PortCall, luck: Luck, chance: Chance, tally: Tally): Fate {
  const trouble = pick(chance, [
    'lost-request',
    'late-request',
    'lost-answer',
    'lost-answer',
    'fails',
    'fails-after',
  ]);
  if (trouble === 'lost-answer' || trouble === 'fails-after') tally.lostAnswers += 1;
  else tally.failures += 1;
  const status =
    call.port === 'google' && trouble === 'fails' ? pick(chance, [429, 500, 503]) : 500;
  const late = trouble === 'late-request' ? { requestMs: lateness(call, chance) } : {};
  return { trouble, status, ...slowness(luck, chance), ...late };
}

/** Google is told to give signData up after four seconds, and the way there takes less than two. */
function lateness(call: PortCall, chance: Chance): number {
  const lateMs = pick(chance, [2_500, 5_000, 8_000]);
  return call.method === 'signData' ? Math.min(lateMs, 5_900) : lateMs;
}

function slowness(luck: Luck, chance: Chance): Fate {
  if (luck.slow === 0 || chance() >= luck.slow) return {};
  return {
    waitMs: pick(chance, [0, 0, 500, 20_000]),
    requestMs: pick(chance, [5, 100, 2_000, 5_000]),
    answerMs: pick(chance, [5, 100, 2_000, 4_000]),
  };
}
