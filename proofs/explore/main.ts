import { setImmediate as turn } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Safeguard, safeguards } from '../../simulator/world/safeguards.ts';
import { oneOf, runTool, wholeNumber } from '../run-tool.ts';
import { runHistory, type Tally } from './history.ts';

const usage = `usage: npm run explore -- [options]

Histories in which anything may happen at any call, one for each seed.

  --seeds N         how many (2000)
  --from S          the first seed (1)
  --seed S          one history again, with its trace
  --without WHAT    with a safeguard removed, so that a breach must be found:
                    ${safeguards.join(', ')}

Exit status 0 when every invariant held, 1 when one was broken, and the other way round with --without.`;

const mostSeed = 999_999_999;
const tellEveryMs = 30_000;

interface Wishes {
  readonly from: number;
  readonly count: number;
  readonly without: Safeguard | undefined;
  readonly replay: boolean;
}

/** What is added up over the histories. */
const figures = ['crashes', 'zombies', 'lostAnswers', 'failures', 'virtualMs'] as const;
const clockFigures = ['freezes', 'sets', 'wrongStarts'] as const;
type Figure = (typeof figures)[number] | (typeof clockFigures)[number];

interface Sum {
  tried: number;
  readonly total: Record<Figure, number>;
  readonly outcomes: Map<string, number>;
  readonly surplus: Map<string, number>;
  /** By invariant, the seeds that broke it. */
  readonly breaches: Map<string, number[]>;
  readonly broken: number[];
}

function wishes(args: readonly string[]): Wishes {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seeds: { type: 'string', default: '2000' },
      from: { type: 'string', default: '1' },
      seed: { type: 'string' },
      without: { type: 'string' },
    },
  });
  const { without, seed } = values;
  const replay = seed !== undefined;
  return {
    from: wholeNumber(replay ? '--seed' : '--from', seed ?? values.from, 0, mostSeed),
    count: replay ? 1 : wholeNumber('--seeds', values.seeds, 1, mostSeed),
    without: without === undefined ? undefined : oneOf('--without', without, safeguards),
    replay,
  };
}

async function explore({ from, count, without, replay }: Wishes): Promise<Sum> {
  const sum: Sum = {
    tried: 0,
    total: {
      crashes: 0,
      zombies: 0,
      lostAnswers: 0,
      failures: 0,
      virtualMs: 0,
      freezes: 0,
      sets: 0,
      wrongStarts: 0,
    },
    outcomes: new Map(),
    surplus: new Map(),
    breaches: new Map(),
    broken: [],
  };
  let toldAt = performance.now();
  for (let seed = from; seed < from + count; seed += 1) {
    const tally = await runHistory(seed, without, replay ? print : undefined);
    // Whatever is weakly held stays alive until the event loop turns, and a history never lets it turn.
    await turn();
    add(sum, tally, seed);
    if (performance.now() - toldAt >= tellEveryMs) {
      toldAt = performance.now();
      print(`${sum.tried} of ${count}, ${sum.broken.length} with a breach`);
    }
    // Without a safeguard the question is how many seeds find it; otherwise the first breach ends it.
    if (tally.breaches.length > 0 && without === undefined && !replay) {
      await show(seed, tally);
      break;
    }
    if (replay)
      for (const { invariant, detail } of tally.breaches) print(`${invariant}: ${detail}`);
  }
  return sum;
}

function add(sum: Sum, tally: Tally, seed: number): void {
  sum.tried += 1;
  for (const figure of figures) sum.total[figure] += tally[figure];
  for (const figure of clockFigures) sum.total[figure] += tally.clocks[figure];
  addCounts(sum.outcomes, tally.outcomes);
  addCounts(sum.surplus, tally.surplus);
  for (const name of new Set(tally.breaches.map(({ invariant }) => invariant))) {
    sum.breaches.set(name, [...(sum.breaches.get(name) ?? []), seed]);
  }
  if (tally.breaches.length > 0) sum.broken.push(seed);
}

function addCounts(to: Map<string, number>, counts: ReadonlyMap<string, number>): void {
  for (const [name, times] of counts) to.set(name, (to.get(name) ?? 0) + times);
}

async function show(seed: number, tally: Tally): Promise<void> {
  await runHistory(seed, undefined, print);
  for (const { invariant, detail } of tally.breaches) print(`BREACH ${invariant}: ${detail}`);
  print(`Again: npm run explore -- --seed ${seed}`);
}

function report(sum: Sum, wish: Wishes, seconds: number): void {
  const { total } = sum;
  const listed = (counts: ReadonlyMap<string, number>) =>
    [...counts].map(([name, count]) => `${count} ${name}`).join(', ') || 'none';
  print(`seeds              ${wish.from} to ${wish.from + sum.tried - 1}`);
  if (wish.without !== undefined) print(`without            ${wish.without}`);
  print(`processes          ${listed(sum.outcomes)}`);
  print(`crashes            ${total.crashes}`);
  print(`zombies            ${total.zombies}`);
  print(`frozen machines    ${total.freezes}`);
  print(`clocks set wrong   ${total.sets}, and ${total.wrongStarts} wrong at a start`);
  print(`lost or late       ${total.lostAnswers}, and ${total.failures} calls that failed`);
  print(`surplus, allowed   ${listed(sum.surplus)}`);
  print(`virtual time       ${(total.virtualMs / 86_400_000).toFixed(1)} days`);
  print(`histories/s        ${(sum.tried / seconds).toFixed(0)}`);
  print(`seeds with breach  ${sum.broken.length}`);
  for (const [name, seeds] of sum.breaches) {
    print(`  ${name}: ${seeds.length} seeds, the first ${seeds.slice(0, 3).join(', ')}`);
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

await runTool(usage, async (args) => {
  const wish = wishes(args);
  // The stacks of a hundred thousand aborted calls are the greater part of their cost.
  if (!wish.replay) Error.stackTraceLimit = 0;
  const startedAt = performance.now();
  const sum = await explore(wish);
  report(sum, wish, (performance.now() - startedAt) / 1_000);
  const found = sum.broken.length > 0;
  // With a safeguard removed, to find nothing is the failure.
  return found === (wish.without !== undefined) ? 0 : 1;
});
