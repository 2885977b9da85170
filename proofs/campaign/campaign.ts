import { mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chanceOf } from '../../simulator/chance.ts';
import type { Simulator } from '../../simulator/outside-world.ts';
import { startPostgres } from '../../simulator/peers/postgres-server.ts';
import { startSimulator } from '../../simulator/simulator.ts';
import { Coverage } from './coverage.ts';
import { type Evidence, readEvidence } from './evidence.ts';
import { Fleet, type Life } from './fleet.ts';
import type { CampaignOptions } from './options.ts';
import { type Group, population } from './population.ts';

/*
 * Runs real instances against the simulated world and kills them: in turn at a random moment, and at the
 * least visited points of the lifecycle. Devices come in as instances die, so that every death meets work.
 */

/** The devices' schedule runs this much faster: a lost push costs them six seconds instead of eight hours. */
const timeScale = 0.0002;
/** Pub/Sub's clients ask for a minute at most; and a little more. */
const longestAckDeadlineMs = 75_000;
/** A point that nobody passes in this time is replaced by a random kill. */
const armedMs = 6_000;
/** How long the last processes may take after the last kill. */
const endMs = 6 * 60_000;
/** How long an instance may take to start. */
const startMs = 60_000;
/** How many more kills, after those ordered, are spent on points that were not hit. */
const mostExtraKills = 40;

type Postgres = Awaited<ReturnType<typeof startPostgres>>;

export type Told = (line: string) => void;

export async function runCampaign(options: CampaignOptions, tell: Told): Promise<Evidence> {
  const directory = resolve(options.directory);
  await rm(directory, { recursive: true, force: true });
  await mkdir(join(directory, 'tokens'), { recursive: true, mode: 0o700 });
  await using stack = new AsyncDisposableStack();
  const postgres = options.journal === 'postgres' ? stack.use(await startPostgres()) : undefined;
  const simulator = stack.use(
    await startSimulator({
      faults: options.faults,
      timeScale,
      distinctKeys: { rsa: 8, ec: 64 },
      switches: {
        duplicates: Math.max(0.1, options.faults),
        reordering: Math.max(0.1, options.faults),
        wrongSignature: 'passed-on',
        claimRepeated: options.claimRepeated === 'both' ? 200 : options.claimRepeated,
      },
      ...(options.seed === undefined ? {} : { seed: options.seed }),
    }),
  );
  tell(`Seed ${simulator.seed}, ${options.journal}, evidence in ${directory}.`);
  const campaign = new Campaign(options, directory, simulator, postgres, tell);
  return await campaign.run();
}

class Campaign {
  readonly #options: CampaignOptions;
  readonly #directory: string;
  readonly #simulator: Simulator;
  readonly #postgres: Postgres | undefined;
  readonly #tell: Told;
  readonly #fleet: Fleet;
  readonly #coverage = new Coverage();
  readonly #groupOf = new Map<string, Group>();
  readonly #outages: { readonly from: number; readonly to: number }[] = [];
  readonly #expected: Iterator<Group>;
  readonly #startedAt = Date.now();
  #added = 0;
  #kills = 0;
  #armings = 0;
  #forGood = 0;
  #closed = 0;
  #open = Number.POSITIVE_INFINITY;

  constructor(
    options: CampaignOptions,
    directory: string,
    simulator: Simulator,
    postgres: Postgres | undefined,
    tell: Told,
  ) {
    this.#options = options;
    this.#directory = directory;
    this.#simulator = simulator;
    this.#postgres = postgres;
    this.#tell = tell;
    this.#expected = population(options.processes);
    const { restUrl, pubsubEndpoint, project, subscription } = simulator;
    const { journal, leaseSeconds } = options;
    this.#fleet = new Fleet({
      directory,
      world: { restUrl, pubsubEndpoint, project, subscription, journal, leaseSeconds },
      ...(postgres === undefined ? {} : { databaseUrl: postgres.url() }),
      onSummary: (open, closed) => {
        this.#open = open;
        this.#closed = closed;
      },
    });
  }

  async run(): Promise<Evidence> {
    await using fleet = this.#fleet;
    await this.#untilAllRun();
    await this.#addUpTo(1);
    await this.#simulator.settled([...this.#groupOf.keys()], { timeoutMs: startMs });
    const { kills } = this.#options;
    for (let number = 0; number < kills; number += 1) await this.#round(number);
    await this.#addUpTo(this.#options.processes);
    await this.#hitTheRest();
    this.#report();
    await this.#untilAllClosed();
    await this.#untilAllAcknowledged();
    this.#report();
    await fleet.stopAll();
    return await readEvidence({
      options: this.#options,
      directory: this.#directory,
      seed: this.#simulator.seed,
      seconds: (Date.now() - this.#startedAt) / 1_000,
      views: this.#simulator.processes(),
      groupOf: this.#groupOf,
      lives: fleet.lives,
      deserters: fleet.deserters,
      outages: this.#outages,
      forGood: this.#forGood,
      messages: this.#simulator.messages(),
      ...(this.#postgres === undefined ? {} : { databaseUrl: this.#postgres.url() }),
    });
  }

  /** What a killed instance had taken, Pub/Sub hands out again only when its acknowledgement deadline is over. */
  async #untilAllAcknowledged(): Promise<void> {
    const until = Date.now() + longestAckDeadlineMs;
    while (Date.now() < until) {
      const { waiting, out } = this.#simulator.messages();
      if (waiting + out === 0) return;
      this.#fillUp();
      await sleep(50);
    }
  }

  /** One kill, with the devices that it should meet. */
  async #round(number: number): Promise<void> {
    const { kills, processes, claimRepeated, postgresRestarts } = this.#options;
    // The last tenth of the devices comes when the killing is almost over.
    await this.#addUpTo(Math.ceil((processes * (number + 1)) / kills));
    if (claimRepeated === 'both' && number === Math.floor(kills / 2)) {
      this.#simulator.setFaults({ claimRepeated: 400 });
    }
    const atPoint = number % 3 !== 2;
    const hit = atPoint && (await this.#killAtPoint(this.#coverage.next(number)));
    if (!hit) await this.#killAtRandom();
    this.#letDie();
    for (let restart = 1; restart <= postgresRestarts; restart += 1) {
      const at = Math.floor((kills * restart) / (postgresRestarts + 1));
      if (number === at) await this.#restartPostgres();
    }
    if (number % 10 === 9) this.#report();
  }

  async #addUpTo(count: number): Promise<void> {
    for (; this.#added < Math.min(count, this.#options.processes); this.#added += 1) {
      const next = this.#expected.next();
      if (next.done === true) return;
      const [added] = await this.#simulator.addDevices(next.value.spec);
      if (added !== undefined) this.#groupOf.set(added.id, next.value);
    }
  }

  /** False when nobody passed one of the points. The replacement of the last victim is armed from its birth. */
  async #killAtPoint(points: readonly string[]): Promise<boolean> {
    const fleet = this.#fleet;
    const before = new Set(fleet.lives.filter(({ ended }) => ended !== undefined));
    this.#armings += 1;
    fleet.arm({ points, token: join(this.#directory, 'tokens', String(this.#armings)) });
    const startsBy = Date.now() + startMs;
    let until = Number.POSITIVE_INFINITY;
    for (let beat = 1; Date.now() < until; beat += 1) {
      const dead = fleet.lives.find((life) => life.ended?.killed === true && !before.has(life));
      if (dead !== undefined) {
        fleet.disarm();
        this.#count(dead);
        return true;
      }
      const allRun = this.#fillUp();
      if (allRun && until === Number.POSITIVE_INFINITY) until = Date.now() + armedMs;
      if (!allRun && Date.now() > startsBy) throw new Error(startedLate);
      if (beat % 50 === 0) fleet.askForSummary();
      await sleep(20);
    }
    fleet.disarm();
    return false;
  }

  async #killAtRandom(): Promise<void> {
    await this.#untilAllRun();
    const alive = this.#fleet.alive;
    const drawn = (topic: number) => chanceOf(this.#simulator.seed, this.#kills, topic, 0);
    await sleep(drawn(9_001) * 1_000);
    const life = alive[Math.floor(drawn(9_002) * alive.length)];
    if (life === undefined) return;
    if (life.ended === undefined) this.#fleet.kill(life);
    await life.exited;
    this.#count(life);
  }

  #count(dead: Life): void {
    this.#kills += 1;
    this.#coverage.read(dead.trailPath);
  }

  #letDie(): void {
    const { dieForGood, kills } = this.#options;
    const due = Math.min(dieForGood, Math.floor((this.#kills * (dieForGood + 1)) / (kills + 1)));
    this.#forGood = Math.max(this.#forGood, due);
  }

  /** As a supervisor would: starts every instance that is missing, except those that died for good. */
  #fillUp(): boolean {
    const wanted = this.#options.instances - this.#forGood;
    while (this.#fleet.alive.length < wanted) this.#fleet.start();
    return this.#fleet.alive.every(({ running }) => running);
  }

  async #untilAllRun(): Promise<void> {
    const until = Date.now() + startMs;
    while (!this.#fillUp()) {
      if (Date.now() > until) throw new Error(startedLate);
      await sleep(50);
    }
  }

  async #restartPostgres(): Promise<void> {
    if (this.#postgres === undefined) return;
    const from = Date.now();
    await this.#postgres.stop();
    await sleep(3_000);
    await this.#postgres.start();
    this.#outages.push({ from, to: Date.now() });
    this.#tell(`PostgreSQL was killed and was back after ${Date.now() - from} ms.`);
  }

  /** Points that can be reached and were not hit get further kills, where there were enough to begin with. */
  async #hitTheRest(): Promise<void> {
    if (!this.#coverage.isOwed(this.#options.kills)) return;
    for (let extra = 0; extra < mostExtraKills; extra += 1) {
      if (this.#coverage.missing().length === 0) return;
      await this.#addExtra();
      await this.#killAtPoint(this.#coverage.next(extra));
    }
  }

  /** One device of each group, over and above those that were asked for. */
  async #addExtra(): Promise<void> {
    const once = new Set<Group>();
    for (const group of population(200)) {
      if (once.has(group)) continue;
      once.add(group);
      const [added] = await this.#simulator.addDevices(group.spec);
      if (added !== undefined) this.#groupOf.set(added.id, group);
    }
  }

  /**
   * The journal itself says when nothing is open; Pub/Sub, that nothing is still to come. A device whose push was
   * lost looks for its certificate some seconds after the upload.
   */
  async #untilAllClosed(): Promise<void> {
    const until = Date.now() + endMs;
    while (Date.now() < until) {
      await this.#untilAllRun();
      this.#fleet.askForSummary();
      await sleep(250);
      const isOver = this.#open === 0 && this.#closed >= this.#groupOf.size;
      if (isOver && this.#simulator.summary().uploaded === 0) return;
    }
    this.#tell(`After ${endMs / 1_000} s ${this.#open} processes were still open.`);
  }

  #report(): void {
    this.#fleet.askForSummary();
    const { delivered } = this.#simulator.summary();
    const seconds = Math.round((Date.now() - this.#startedAt) / 1_000);
    const missing = this.#coverage.missing().length;
    this.#tell(
      `${seconds} s: ${this.#kills} kills, ${this.#added} processes, ${delivered} delivered, ${missing} points to hit`,
    );
  }
}

const startedLate = 'An instance did not come up in time; see its log.';
