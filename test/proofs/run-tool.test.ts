import { execFile } from 'node:child_process';
import { expect, it } from 'vitest';

interface Ended {
  readonly status: number;
  readonly err: string;
}

function run(tool: string, ...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const file = `proofs/${tool}/main.ts`;
    execFile(process.execPath, [file, ...args], { timeout: 30_000 }, (error, _out, err) => {
      resolve({ status: error === null ? 0 : Number(error.code), err });
    });
  });
}

it.each([
  ['explore', '--nonsense', '1', "Unknown option '--nonsense'"],
  ['bench', '--rounds', '0', '--rounds takes a whole number from 1 to 100, not “0”.'],
])('npm run %s refuses %s %s', async (tool, option, value, problem) => {
  const { status, err } = await run(tool, option, value);
  expect(err.startsWith(problem)).toBe(true);
  expect(err).toContain(`usage: npm run ${tool}`);
  expect(status).toBe(2);
});
