import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { requirePeer } from '../support/peer.ts';

const script = join(import.meta.dirname, '../adapters/commands/leave-orphans.mjs');
const namespace = ['--fork', '--pid', '--mount-proc'];
const there = await requirePeer(
  'tini and a process namespace',
  () =>
    spawnSync('tini', ['--version']).status === 0 &&
    spawnSync('unshare', [...namespace, 'true']).status === 0,
  'apt-get install tini util-linux, as root',
);

/** As a container does it: process 1 is whatever is named first. */
function inContainer(...words: readonly string[]): { pid: number; zombies: number } {
  const started = [...namespace, ...words, process.execPath, script];
  return JSON.parse(execFileSync('unshare', started, { encoding: 'utf8', timeout: 60_000 }));
}

describe.skipIf(!there)('65 commands that each leave a process behind', () => {
  it('leave no zombie under the init of the image', { timeout: 60_000 }, () => {
    expect(inContainer('tini', '-s', '--')).toEqual({ pid: 2, zombies: 0 });
  });

  it('leave theirs with Node as process 1, which is why the image has one', {
    timeout: 60_000,
  }, () => {
    const { pid, zombies } = inContainer();
    expect(pid).toBe(1);
    expect(zombies).toBeGreaterThan(0);
  });
});
