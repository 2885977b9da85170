import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { runTool } from '../run-tool.ts';
import { runCampaign } from './campaign.ts';
import { readOptions, usage } from './options.ts';
import { resultOf, stories, table } from './report.ts';
import { judge } from './verdict.ts';

/*
 * `npm run campaign`: instances are killed at every step, and a check from outside looks for anything that was lost,
 * done twice or ended wrongly.
 */

async function main(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
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
await runTool(usage, main);
