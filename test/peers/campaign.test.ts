import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCampaign } from '../../proofs/campaign/campaign.ts';
import { stories } from '../../proofs/campaign/report.ts';
import { judge } from '../../proofs/campaign/verdict.ts';
import { findPostgres, howToGetPostgres } from '../../simulator/peers/postgres-server.ts';
import { requirePeer } from '../support/peer.ts';
import { testSeed } from '../support/seed.ts';

const isThere = async () => (await findPostgres()) !== undefined;
const there = await requirePeer('PostgreSQL', isThere, howToGetPostgres);

describe.skipIf(!there)('three instances on PostgreSQL, killed at every turn', () => {
  it('lose nothing and do nothing twice, with one dead for good and the server restarted twice', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'certprov-campaign-'));
    const said: string[] = [];
    const evidence = await runCampaign(
      {
        journal: 'postgres',
        seed: testSeed,
        instances: 3,
        processes: 80,
        kills: 12,
        faults: 0.05,
        dieForGood: 1,
        postgresRestarts: 2,
        claimRepeated: 'both',
        directory,
        json: join(directory, 'result.json'),
        leaseSeconds: 5,
      },
      (line) => said.push(line),
    );
    const wrong = judge(evidence).breaches.filter(({ kind }) => kind !== 'takeover');
    expect(wrong, `${said.join('\n')}\n${stories(evidence, wrong)}`).toEqual([]);
    expect(evidence.lived.filter(({ killed }) => killed)).toHaveLength(12);
    expect(evidence.outages).toHaveLength(2);
    expect(evidence.forGood).toBe(1);
    await rm(directory, { recursive: true, force: true });
  }, 300_000);
});
