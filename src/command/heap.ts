import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/*
 * V8 sizes its heap by the machine: with many gigabytes about, up to 128 MiB of new space and an old space that is
 * collected late, although what lives here is some 50 MiB. The service is to stay small whatever it runs on, so both
 * are kept from growing. These flags are read at each growth, not only at the start, so they can be set here and
 * need no command line. docs/decisions/0005-memory.md has the figures.
 */

/** Old space is collected when it is this much larger than what lived after the last time. */
const oldSpaceGrowthPercent = 40;
/** New space of this size, both halves counted, is collected seldom enough. In bytes. */
const wantedNewSpace = 16 * 1024 * 1024;

/**
 * The new space is too small to be worth the waking of other threads each time it is collected. A service that
 * shares two cores with anything else does a tenth more without them.
 */
const oneThreadForNewSpace = '--no-parallel-scavenge';

/** Keeps the heap as it is: to be called before anything is loaded, which would make it grow. */
export function keepHeapSmall(): void {
  setFlagsFromString(`--heap-growing-percent=${oldSpaceGrowthPercent}`);
  setFlagsFromString(oneThreadForNewSpace);
  letNewSpaceGrow(false);
}

/** Lets new space grow to the size that work wants, and no further. */
export function sizeHeapForWork(): void {
  letNewSpaceGrow(true);
  const observer = new PerformanceObserver(() => {
    if (newSpace() < wantedNewSpace) return;
    letNewSpaceGrow(false);
    observer.disconnect();
  });
  observer.observe({ entryTypes: ['gc'] });
}

function letNewSpaceGrow(may: boolean): void {
  setFlagsFromString(`--semi-space-growth-factor=${may ? 2 : 1}`);
}

function newSpace(): number {
  const space = getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space');
  return space?.space_size ?? wantedNewSpace;
}
