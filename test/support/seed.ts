import { env } from 'node:process';
import fc from 'fast-check';

/** What is random in the tests follows from it. `CERTPROV_TEST_SEED=N` tries other inputs than everybody's. */
export const testSeed = Number(env['CERTPROV_TEST_SEED'] ?? 1);

fc.configureGlobal({ seed: testSeed });
