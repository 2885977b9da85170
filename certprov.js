#!/usr/bin/env node
/*
 * The command from the sources: `npm run certprov -- …`. Plain JavaScript, which every Node reads; one that cannot
 * read src/main.ts gets a sentence instead of a stack. A newer one that is still too old is told by src/main.ts itself.
 */
import('./src/main.ts').catch((error) => {
  if (error?.code !== 'ERR_UNKNOWN_FILE_EXTENSION') throw error;
  process.stderr.write(
    `certprov needs Node 24.12: this is ${process.version} (${process.execPath}). npm ci brings the right one: start certprov by npm start, by npm run certprov -- COMMAND, or by node_modules/.bin/node certprov.js COMMAND.\n`,
  );
  process.exitCode = 2;
});
