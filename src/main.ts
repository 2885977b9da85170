#!/usr/bin/env node

/*
 * The process. Its first lines are plain JavaScript without an import, so that an older Node, which could not even
 * link what follows, can say so in a sentence.
 */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 24 || (major === 24 && minor < 12)) {
  process.stderr.write(
    `certprov needs Node 24.12: this is ${process.version} (${process.execPath}). Install a newer one; in the project's sources npm ci brings it, and npm start and npm run certprov -- COMMAND use it.\n`,
  );
  process.exit(2);
}

/*
 * Compiled code is cached beside the dependencies, where only an installation writes, and not in a directory for
 * temporary files that others may write to. The next start then takes two thirds of the time and saves twenty
 * megabytes of parsing. If the cache cannot be written, there is none. It covers what is loaded after this point. If
 * NODE_COMPILE_CACHE names it from outside, as in the deploy files, it covers this file too, and Node's own
 * TypeScript parser, another thirteen megabytes, is never loaded.
 */
const { enableCompileCache } = await import('node:module');
const { join } = await import('node:path');
enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/certprov'));
const { keepHeapSmall, sizeHeapForWork } = await import('./command/heap.ts');
keepHeapSmall();
const { adapters } = await import('../adapters/index.ts');
const { runCommand } = await import('./command/command-line.ts');
const { adapterLoader } = await import('./plug-in/adapter-loader.ts');
const { settleProxyVariables } = await import('./network/proxy.ts');
sizeHeapForWork();
settleProxyVariables(process.env);

// Whatever still holds the event loop open after a drained stop has nothing left to do.
process.exit(await runCommand(process.argv.slice(2), adapterLoader(adapters)));
