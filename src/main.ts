#!/usr/bin/env node
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { keepHeapSmall, sizeHeapForWork } from './heap.ts';

/*
 * The process. What it compiles is kept beside its dependencies, where only who installs it writes, and not in a
 * directory for temporary files that others may write to: the next start takes two thirds of the time and leaves
 * twenty megabytes of parsing out. Where it cannot be written, it is done without. It serves what is loaded after it;
 * where NODE_COMPILE_CACHE names it from outside, as the deploy files do, it serves this file too, and Node's own
 * TypeScript parser, another thirteen megabytes, is never loaded.
 */
enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/certprov'));
keepHeapSmall();
const { adapters } = await import('../adapters/index.ts');
const { runCommand } = await import('./command-line.ts');
const { adapterLoader } = await import('./issue/adapter-loader.ts');
const { settleProxyVariables } = await import('./proxy.ts');
sizeHeapForWork();
settleProxyVariables(process.env);

// Whatever still holds the event loop open after a drained stop has nothing left to do.
process.exit(await runCommand(process.argv.slice(2), adapterLoader(adapters)));
