import { registerHooks } from 'node:module';
import { extname } from 'node:path';
import { pathToFileURL } from 'node:url';

/*
 * A plug-in imports `certprov`, and has to get this very instance of it: an error of another copy's class
 * would be none of ours, and a plug-in beside a configuration has no copy at all. So the name is resolved
 * here, whatever is installed beside the plug-in.
 */

const doors: ReadonlyMap<string, string> = new Map([
  ['certprov', door('../plug-in')],
  ['certprov/conformance', door('../conformance/kit')],
]);

let opened = false;

/** The module of a file, absolute, that somebody else wrote. */
export function importPlugIn(file: string): Promise<unknown> {
  if (!opened) {
    opened = true;
    registerHooks({
      resolve: (name, context, next) => next(doors.get(name) ?? name, context),
    });
  }
  return import(pathToFileURL(file).href);
}

/** As source or as built, whichever this file is. */
function door(path: string): string {
  return new URL(`${path}${extname(import.meta.filename)}`, import.meta.url).href;
}
