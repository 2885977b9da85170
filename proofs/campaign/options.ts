import { parseArgs } from 'node:util';
import { oneOf, optionalSeed, UsageError, wholeNumber } from '../run-tool.ts';

export interface CampaignOptions {
  readonly journal: 'sqlite' | 'postgres';
  readonly instances: number;
  readonly processes: number;
  readonly kills: number;
  readonly seed?: number;
  /** The simulator's base rate of passing trouble. */
  readonly faults: number;
  /** How many instances are not replaced when they die. */
  readonly dieForGood: number;
  /** How often PostgreSQL itself is killed and started again. */
  readonly postgresRestarts: number;
  /** The simulator's answer to a repeated claim: one of both, or the first half so and the second half so. */
  readonly claimRepeated: 200 | 400 | 'both';
  /** Where everything that shows what happened is kept. */
  readonly directory: string;
  readonly json: string;
  readonly leaseSeconds: number;
}

export const usage = `usage: npm run campaign -- [options]

  --journal sqlite|postgres   default sqlite (which takes one instance only)
  --instances N               default 3 with postgres, 1 with sqlite
  --processes N               default 400
  --kills K                   default 60
  --seed S                    of the simulated world; drawn and printed without it
  --faults F                  base rate of passing trouble, default 0.05
  --die-for-good M            so many instances are not replaced when they die
  --restart-postgres          PostgreSQL is killed and started again, twice
  --claim-repeated 200|400|both
  --directory DIR             default data/campaign
  --json FILE                 default DIR/result.json

Exit status 0 when everything held, 1 for a breach, 2 for bad usage.`;

export function readOptions(args: readonly string[]): CampaignOptions {
  const values = parsed(args);
  const journal = oneOf('--journal', values.journal, ['sqlite', 'postgres'] as const);
  const given = values.instances ?? (journal === 'sqlite' ? '1' : '3');
  const instances = wholeNumber('--instances', given, 1, 16);
  if (journal === 'sqlite' && instances > 1) {
    throw new UsageError(
      'A SQLite journal takes one instance: use --journal postgres for several.',
    );
  }
  const dieForGood = wholeNumber('--die-for-good', values['die-for-good'], 0, instances - 1);
  const restarts = values['restart-postgres'] === true;
  if (restarts && journal !== 'postgres') {
    throw new UsageError('--restart-postgres needs --journal postgres.');
  }
  const { directory } = values;
  const seed = optionalSeed(values.seed);
  const claims = oneOf('--claim-repeated', values['claim-repeated'], ['both', '200', '400']);
  return {
    journal,
    instances,
    processes: wholeNumber('--processes', values.processes, 1, 100_000),
    kills: wholeNumber('--kills', values.kills, 0, 10_000),
    ...(seed === undefined ? {} : { seed }),
    faults: rate('--faults', values.faults),
    dieForGood,
    postgresRestarts: restarts ? 2 : 0,
    claimRepeated: claims === 'both' ? 'both' : claims === '200' ? 200 : 400,
    directory,
    json: values.json ?? `${directory}/result.json`,
    leaseSeconds: 5,
  };
}

function parsed(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    options: {
      journal: { type: 'string', default: 'sqlite' },
      instances: { type: 'string' },
      processes: { type: 'string', default: '400' },
      kills: { type: 'string', default: '60' },
      seed: { type: 'string' },
      faults: { type: 'string', default: '0.05' },
      'die-for-good': { type: 'string', default: '0' },
      'restart-postgres': { type: 'boolean' },
      'claim-repeated': { type: 'string', default: 'both' },
      directory: { type: 'string', default: 'data/campaign' },
      json: { type: 'string' },
    },
  }).values;
}

function rate(name: string, text: string): number {
  const number = Number(text);
  if (number >= 0 && number <= 1) return number;
  throw new UsageError(`${name} takes a number from 0 to 1.`);
}
