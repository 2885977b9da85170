import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { z } from 'zod';

const figures = z.object({
  ratios: z.object({ ratio: z.number().positive(), cpuRatio: z.number().positive() }),
  'open processes': z.array(z.object({ open: z.number(), perSecond: z.number().positive() })),
});

// How fast is the machine's affair; that everything is measured to its end is ours.
it('npm run bench measures the service against both floors, to its end', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'certprov-bench-'));
  const json = join(directory, 'result.json');
  // The floors look at each device once, and it has to have signed by then: fewer would come round too soon.
  const few = ['--certificates', '500', '--rounds', '1', '--backlog', '20', '--json', json];
  const { stdout } = await promisify(execFile)(process.execPath, ['proofs/bench/main.ts', ...few]);
  expect(stdout).toContain(`Written to ${json}.`);
  const result = figures.parse(JSON.parse(await readFile(json, 'utf8')));
  expect(result['open processes'].map(({ open }) => open)).toEqual([20]);
  await rm(directory, { recursive: true, force: true });
}, 120_000);
