import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const main = fileURLToPath(new URL('../../simulator/main.ts', import.meta.url));

function start(...args: readonly string[]) {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  return { child, ended: once(child, 'close').then(([status]) => ({ status, stderr })) };
}

it('tells its addresses in one line of JSON and runs until it is stopped', async () => {
  const free = ['--port', '0', '--pubsub-port', '0', '--management-port', '0'];
  const { child, ended } = start(...free, '--seed', '11', '--faults', '0.1');
  const [line] = await once(child.stdout, 'data');
  const told = JSON.parse(String(line));
  expect(told).toEqual({
    rest: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
    pubsub: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    management: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
    project: 'simulator',
    topic: 'certprov',
    subscription: 'certprov-worker',
    seed: 11,
  });
  const faults = await (await fetch(`${told.management}/faults`)).json();
  expect(faults).toMatchObject({ rate: 0.1 });
  child.kill('SIGTERM');
  expect(await ended).toEqual({ status: 0, stderr: '' });
});

it('tells what is wrong with its arguments, and how it is used, with exit status 2', async () => {
  const { status, stderr } = await start('--colour').ended;
  expect(status).toBe(2);
  expect(stderr).toContain("'--colour'");
  expect(stderr).toContain('usage:');
});
