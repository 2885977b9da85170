import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { extname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { scrub } from '../words/scrub.ts';
import { placeOf } from './checked-plug-in.ts';
import { shown } from './plug-in-values.ts';

/*
 * Why the module of a plug-in could not be loaded, for its author: what is wrong, in which line, and how to fix it.
 */

/** How much to quote of what Node or the plug-in says. In characters. */
const mostSaid = 400;
/** Reading one file for its syntax. */
const longestLookMs = 10_000;

/** `file` is the module, absolute; the error is what importing it ended with. */
export function loadProblem(file: string, error: unknown): string {
  if (!(error instanceof Error)) {
    return `it threw ${shown(error)} instead of an error`;
  }
  const said = scrub(error.message).replaceAll(/\s+/g, ' ').slice(0, mostSaid).replace(/\.$/, '');
  const hint = hintOf(file, error);
  return `${said}${lineOf(file, error)}${hint === undefined ? '' : `. ${hint}`}`;
}

function lineOf(file: string, error: Error): string {
  if (!(error instanceof SyntaxError)) return placeOf(error);
  const place = syntaxPlace(error.stack ?? '') ?? syntaxPlace(said(file));
  return place === undefined ? '' : ` (${place})`;
}

/** Node puts the place of a syntax error before everything else: `file:///…/my-ca.ts:5`. */
function syntaxPlace(text: string): string | undefined {
  return /^(?:file:\/\/)?\/(?:[^\n]*\/)?([^/\n]+:\d+)\n/.exec(text)?.[1];
}

/** For plain JavaScript, Node tells the line only when it is asked to check the file alone. */
function said(file: string): string {
  const { stderr } = spawnSync(process.execPath, ['--check', file], {
    encoding: 'utf8',
    timeout: longestLookMs,
  });
  return stderr ?? '';
}

function hintOf(file: string, error: Error): string | undefined {
  const { message } = error;
  const code = 'code' in error ? error.code : undefined;
  if (/Cannot use import statement outside a module|Unexpected token 'export'/.test(message)) {
    return asModule(file);
  }
  const [, name] = /does not provide an export named '([^']+)'/.exec(message) ?? [];
  if (name !== undefined) {
    return `If ${name} is a type, write \`import { type ${name} }\`: Node only removes types. Otherwise correct the name`;
  }
  if (code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX') {
    return 'Node removes types and does nothing more: no enums, namespaces or parameter properties';
  }
  if (code === 'ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING') {
    return 'Node runs no TypeScript below node_modules: a package brings JavaScript';
  }
  if (code === 'ERR_MODULE_NOT_FOUND') return missingModule(message);
  if (code === 'ERR_UNKNOWN_FILE_EXTENSION')
    return 'A plug-in is a .ts, .mts, .js, .mjs or .cjs file';
  return undefined;
}

/** For a file that is read as CommonJS but was not meant to be. */
function asModule(file: string): string {
  const manifest = findPackageJSON(pathToFileURL(file));
  const module = extname(file).replace(/^\.(?:c|m)?/, '.m');
  const because = manifest === undefined ? '' : `, for ${manifest} says so ("type": "commonjs")`;
  return `It is taken for CommonJS${because}. Write "type": "module" there, or let the file end in ${module}`;
}

function missingModule(message: string): string {
  const [, path] = /^Cannot find module '([^']+)'/.exec(message) ?? [];
  if (path === undefined) return 'Install the package beside the plug-in';
  const endings = ['.ts', '.mts', '.js', '.mjs', '.cjs'].map((ending) => path + ending);
  const near = endings.find((name) => existsSync(name));
  if (near !== undefined) return `An import has its file's whole name: ${near}`;
  const isDirectory = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  return isDirectory
    ? 'A directory cannot be imported: name a file in it'
    : 'Correct the path; it includes the ending of the file';
}
