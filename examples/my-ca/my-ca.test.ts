import { adapterHarness, describeAdapter } from 'certprov/conformance';
import { describe, it } from 'vitest';
import harness from './harness.ts';
import myCa from './my-ca.ts';

describeAdapter('my-ca', async () => adapterHarness(myCa, await harness()), { describe, it });
