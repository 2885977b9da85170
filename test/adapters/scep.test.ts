import { describeAdapter } from './contract.ts';
import { scepHarness } from './scep-harness.ts';

describeAdapter('scep', scepHarness);
