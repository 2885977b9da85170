import { resolve } from 'node:path';
import { defineConfig } from 'vitest/config';
import { alone } from './test/support/alone.ts';

const peers = process.env['CERTPROV_TEST_PEERS'] === '1';

const project = (name: string, include: string[], exclude: string[] = []) => ({
  extends: true as const,
  test: { name, include, exclude, isolate: name !== 'together' },
});

export default defineConfig({
  // By these names an author of a plug-in imports the project; `npm run build` makes what they get.
  resolve: {
    alias: [
      { find: /^certprov$/, replacement: resolve('src/plug-in/plug-in.ts') },
      { find: /^certprov\/conformance$/, replacement: resolve('conformance/kit.ts') },
    ],
  },
  test: {
    projects: peers
      ? [project('peers', ['test/peers/**/*.test.ts'])]
      : [
          project('alone', [...alone]),
          project('together', ['{test,examples}/**/*.test.ts'], ['test/peers/**', ...alone]),
        ],
    setupFiles: ['./test/support/seed.ts'],
    reporters: ['default', './test/support/closing-line.ts'],
    // As long as a busy machine may need: the slowest takes five seconds where nobody is in its way.
    testTimeout: peers ? 120_000 : 60_000,
    hookTimeout: peers ? 120_000 : 60_000,
    pool: 'forks',
    // Many tests wait for processes, timers and sockets; one worker for each core would leave both half idle.
    maxWorkers: peers ? 1 : 3,
  },
});
