import { resolve } from 'node:path';
import { defineConfig } from 'vitest/config';

const peers = process.env['CERTPROV_TEST_PEERS'] === '1';

export default defineConfig({
  // By these names an author of a plug-in imports the project; `npm run build` makes what they get.
  resolve: {
    alias: [
      { find: /^certprov$/, replacement: resolve('src/plug-in.ts') },
      { find: /^certprov\/conformance$/, replacement: resolve('src/conformance/kit.ts') },
    ],
  },
  test: {
    include: peers ? ['test/peers/**/*.test.ts'] : ['{test,examples}/**/*.test.ts'],
    exclude: peers ? [] : ['test/peers/**'],
    setupFiles: ['./test/support/seed.ts'],
    reporters: ['default', './test/support/closing-line.ts'],
    testTimeout: peers ? 120_000 : 20_000,
    hookTimeout: peers ? 120_000 : 20_000,
    pool: 'forks',
    // Many tests wait for processes, timers and sockets; one worker for each core would leave both half idle.
    maxWorkers: peers ? 1 : 3,
  },
});
