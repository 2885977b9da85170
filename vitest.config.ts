import { defineConfig } from 'vitest/config';

const peers = process.env['CERTPROV_TEST_PEERS'] === '1';

export default defineConfig({
  test: {
    include: peers ? ['test/peers/**/*.test.ts'] : ['test/**/*.test.ts'],
    exclude: peers ? [] : ['test/peers/**'],
    reporters: ['default', './test/support/closing-line.ts'],
    testTimeout: peers ? 120_000 : 20_000,
    hookTimeout: peers ? 120_000 : 20_000,
    pool: 'forks',
    // Many tests wait for processes, timers and sockets; one worker for each core would leave both half idle.
    maxWorkers: peers ? 1 : 3,
  },
});
