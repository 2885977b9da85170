import { setFlagsFromString } from 'node:v8';

/*
 * V8 sizes its heap by the machine: with many gigabytes about, 128 MiB of new space and an old space that is
 * collected late, although what lives here is some 50 MiB. The service is to stay small whatever it runs on, so
 * both are kept from growing. These flags are read at each growth, not only at the start, so they can be set
 * here and need no command line. docs/decisions/0005-memory.md has the figures.
 */

/** New space keeps the size that loading the modules gave it. */
const newSpaceGrowthFactor = 1;
/** Old space is collected when it is this much larger than what lived after the last time. */
const oldSpaceGrowthPercent = 60;

setFlagsFromString(`--semi-space-growth-factor=${newSpaceGrowthFactor}`);
setFlagsFromString(`--heap-growing-percent=${oldSpaceGrowthPercent}`);
