import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { runCampaign } from './campaign.ts';
import { type CampaignOptions, readOptions, UsageError, usage } from './options.ts';
import { resultOf, stories, table } from './report.ts';
import { judge } from './verdict.ts';

/*
 * `npm run campaign`: instances are killed at every step, and from outside it is looked whether anything was
 * lost, done twice or ended wrongly. Exit status 0 when everything held, 1 for a breach, 2 for bad usage.
 */

async function main(): Promise<number> {
  let options: CampaignOptions | 'help';
  try {
    options = readOptions(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}\n\n${usage}`);
    return 2;
  }
  if (options === 'help') {
    process.stdout.write(usage);
    return 0;
  }
  const evidence = await runCampaign(options, (line) => console.log(line));
  const verdict = judge(evidence);
  const result = resultOf(evidence, verdict);
  console.log(table(result));
  await mkdir(dirname(options.json), { recursive: true });
  await writeFile(options.json, `${JSON.stringify(result, undefined, 2)}\n`);
  if (verdict.breaches.length === 0) return 0;
  console.log(stories(evidence, verdict.breaches));
  return 1;
}

// The workers are processes of their own and have to be ended too.
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => process.exit(1));
process.exitCode = await main();
