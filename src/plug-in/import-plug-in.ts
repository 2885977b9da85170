import { type ResolveHookSync, registerHooks } from 'node:module';
import { extname } from 'node:path';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

/*
 * A plug-in imports `certprov`, and has to get this very instance of it: an error of another copy's class would not
 * be one of ours, and a plug-in beside a configuration has no copy at all. So the name is resolved here, whatever is
 * installed beside the plug-in.
 */

const doors: ReadonlyMap<string, string> = new Map([
  ['certprov', door('./plug-in')],
  ['certprov/conformance', door('../../conformance/kit')],
]);

let opened = false;

/** In real milliseconds. */
const usualImportMs = 30_000;

/**
 * The module of a file, absolute, that somebody else wrote.
 * @throws what is wrong with it, or that it is not loaded within `longestMs`.
 */
export async function importPlugIn(file: string, longestMs = usualImportMs): Promise<unknown> {
  if (!opened) {
    opened = true;
    registerHooks({ resolve });
  }
  const over = new AbortController();
  const late = sleepFor(longestMs, undefined, { signal: over.signal }).then(() => {
    throw new Error(
      `it was not loaded within ${longestMs / 1_000} seconds: an await outside of every function does not end`,
    );
  });
  try {
    return await Promise.race([import(pathToFileURL(file).href), late]);
  } finally {
    over.abort();
    await late.catch(() => undefined); // Ended by us, or already reported.
  }
}

/** For import and require alike; require does not accept a URL as a file name. */
const resolve: ResolveHookSync = (name, context, next) => {
  const url = doors.get(name);
  return url === undefined ? next(name, context) : { url, shortCircuit: true };
};

/** As source or as built, whichever this file is. */
function door(path: string): string {
  return new URL(`${path}${extname(import.meta.filename)}`, import.meta.url).href;
}
