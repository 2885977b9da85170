import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runCampaign } from '../../proofs/campaign/campaign.ts';
import { stories } from '../../proofs/campaign/report.ts';
import { judge } from '../../proofs/campaign/verdict.ts';
import { testSeed } from '../support/seed.ts';

it('loses nothing and does nothing twice when an instance is killed again and again', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'certprov-campaign-'));
  const said: string[] = [];
  const evidence = await runCampaign(
    {
      journal: 'sqlite',
      seed: testSeed,
      instances: 1,
      processes: 40,
      kills: 8,
      faults: 0,
      dieForGood: 0,
      postgresRestarts: 0,
      claimRepeated: 200,
      directory,
      json: join(directory, 'result.json'),
      leaseSeconds: 5,
    },
    (line) => said.push(line),
  );
  const { breaches, points } = judge(evidence);
  // How soon is the machine's affair; that it was and rightly is ours.
  const wrong = breaches.filter(({ kind }) => kind !== 'takeover');
  expect(wrong, `${said.join('\n')}\n${stories(evidence, wrong)}`).toEqual([]);
  expect(evidence.views).toHaveLength(40);
  expect(evidence.lived.filter(({ killed }) => killed)).toHaveLength(8);
  expect(points.some(({ hits }) => hits > 0)).toBe(true);
  await rm(directory, { recursive: true, force: true });
}, 120_000);
