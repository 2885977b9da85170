import { execFile } from 'node:child_process';
import { expect, it } from 'vitest';

interface Ended {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

function run(tool: string, ...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const file = `tools/${tool}/main.ts`;
    execFile(process.execPath, [file, ...args], { timeout: 30_000 }, (error, out, err) => {
      resolve({ status: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

it('shows the usage when asked', async () => {
  const { status, out } = await run('explore', '--help');
  expect(out).toMatch('usage: npm run explore');
  expect(status).toBe(0);
});

it.each(['explore', 'fuzz', 'campaign', 'bench'])(
  'npm run %s takes no option that it does not know',
  async (tool) => {
    const { status, err } = await run(tool, '--nonsense');
    expect(err).toMatch(/^Unknown option '--nonsense'/);
    expect(err).toMatch(`usage: npm run ${tool}`);
    expect(status).toBe(2);
  },
);

it.each([
  ['explore', '--without', 'luck', '--without is one of: fencing'],
  ['bench', '--rounds', '0', '--rounds takes a whole number from 1 to 100, not “0”.'],
])('npm run %s refuses %s %s', async (tool, option, value, problem) => {
  const { status, err } = await run(tool, option, value);
  expect(err).toContain(problem);
  expect(status).toBe(2);
});
